"""The work of `finetune` from Python."""

import keras
import numpy as np
import pytest

from keras_otreg import workflows


@pytest.fixture
def clothes(tmp_path, rng):
    for label, level in (("dark", 60), ("light", 190)):
        (tmp_path / "clothes" / label).mkdir(parents=True)
        for k in range(6):
            pixels = level + rng.integers(-50, 50, size=(4, 4, 3))
            path = tmp_path / "clothes" / label / f"{k}.png"
            keras.utils.save_img(path, pixels, scale=False)
    return tmp_path / "clothes"


@pytest.mark.slow
def test_the_result_is_the_network_in_the_file_and_its_rows(
    clothes, start, tmp_path, capsys
):
    result = workflows.finetune(
        clothes, start, out=tmp_path / "out", method="hint", epochs=1
    )
    shown = capsys.readouterr().out
    assert " ".join(result.summary.split()) in " ".join(shown.split())
    titles = [row["title"] for row in result.rows]
    assert titles == [
        *("solved head", "plain fine-tuning", "hints"),
        "interpolated weights",
    ]
    (chosen,) = (row for row in result.rows if row["chosen"])
    assert chosen["title"] == result.chosen
    best = max(row["validation"] for row in result.rows)
    assert chosen["validation"] == best
    assert result.class_names == ["dark", "light"]
    assert result.report_path.is_file()
    x = np.full((1, 4, 4, 3), 60.0)
    model = keras.saving.load_model(result.model_path)
    np.testing.assert_allclose(
        model.predict(x, verbose=0), result.model.predict(x, verbose=0)
    )
    # The teacher is not changed.
    assert start.layers[-1].get_weights()[1].tolist() == [0.0, 1.0]
    _check_again(clothes, start, result, capsys)


def _check_again(clothes, start, result, capsys):
    """Called again it trains nothing, and may be silent."""
    again = workflows.finetune(
        *(clothes, start),
        **{"out": result.folder, "method": "hint", "epochs": 1, "quiet": True},
    )
    assert again.rows == result.rows
    assert capsys.readouterr() == ("", "")


def test_an_unknown_method_is_refused_with_those_that_there_are(
    clothes, start, tmp_path
):
    with pytest.raises(ValueError, match="`method`.*'alignment', 'attention'"):
        workflows.finetune(clothes, start, out=tmp_path / "out", method="magic")


def test_every_name_is_there_and_no_other():
    for name in workflows.__all__:
        assert getattr(workflows, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'Wish'"):
        workflows.Wish  # noqa: B018
