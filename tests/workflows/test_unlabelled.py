"""Pictures without labels in `finetune`."""

import keras
import numpy as np
import pytest

from keras_otreg import workflows
from keras_otreg.workflows.finetuning import Unlabelled, shown_labels
from keras_otreg.workflows.stages import Trained


@pytest.fixture
def more(tmp_path, rng):
    """Twenty dark and light pictures, without labels."""
    folder = tmp_path / "more" / "deep"
    folder.mkdir(parents=True)
    for k in range(20):
        pixels = (60 if k < 15 else 190) + rng.integers(-50, 50, (4, 4, 3))
        keras.utils.save_img(folder / f"{k:02}.png", pixels, scale=False)
    return tmp_path / "more"


NAMES = ["dark", "light"]


@pytest.mark.parametrize("head", ["class,share\n", ""])
def test_shares_are_read_from_a_file_in_any_order(more, tmp_path, head):
    path = tmp_path / "shares.csv"
    path.write_text(f"{head}light,0.25\ndark,0.75\n", encoding="utf-8")
    given = Unlabelled.of(more, path, NAMES)
    assert given.shares == [0.75, 0.25]
    assert len(given.files.paths) == 20
    for name in ("model", "validation"):
        assert Unlabelled.of(more, name, NAMES).shares == name
    numbers = Unlabelled.of(more, np.array(given.shares), NAMES)
    assert numbers.shares == given.shares


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dark,0.5\nlight,0.6", "sum to 1"),
        ("dark,0.5\nhat,0.5", "a share of each of the 2 classes"),
        ("dark,much\nlight,0.5", "rows of a class and its share"),
        ("class,share\ndark;0.5", "rows of a class and its share"),
        ("dark,0.2\ndark,0.5\nlight,0.5", "two rows of one class"),
        ("\N{LATIN SMALL LETTER U WITH DIAERESIS},1", "can't decode"),
    ],
)
def test_shares_that_do_not_fit_are_refused(more, tmp_path, text, message):
    path = tmp_path / "shares.csv"
    path.write_text(text, encoding="latin1")
    with pytest.raises(ValueError, match=message):
        Unlabelled.of(more, path, NAMES)


def test_a_word_that_is_no_file_is_told_the_words_and_of_files(more):
    with pytest.raises(ValueError, match="no such file") as error:
        Unlabelled.of(more, "modle", NAMES)
    words = ("labelled", "model", "uniform", "validation", "CSV file", "modle")
    assert all(word in str(error.value) for word in words)


def test_the_report_counts_labels_and_shows_sure_and_unsure_ones(more):
    first = np.linspace(0.5, 1.0, 20)
    kept = {
        "labels": np.stack([first, 1.0 - first], axis=1),
        "label weights": np.repeat([0.0, 1.0], 10),
    }
    trained = Trained(None, [], 0, 1.0, kept)
    given = Unlabelled.of(more, {"dark": 1, "light": 0}, NAMES)
    found = shown_labels(trained, given)
    approx = pytest.approx([0.75, 0.25])
    assert (found["count"], found["labelled"]) == (20, 10)
    assert [row["known"] for row in found["shares"]] == [1.0, 0.0]
    assert [row["estimated"] for row in found["shares"]] == approx
    assert found["sure"][0]["file"] == "19.png"
    assert found["unsure"][0]["file"] == "00.png"
    assert found["unsure"][0]["probability"] == 0.5


@pytest.mark.slow
def test_finetune_learns_from_pictures_without_labels(
    more, start, tmp_path, rng
):
    for part in ("train", "validation", "test"):
        for label, level in (("dark", 60), ("light", 190)):
            folder = tmp_path / "clothes" / part / label
            folder.mkdir(parents=True)
            for k in range(3):
                pixels = level + rng.integers(-50, 50, size=(4, 4, 3))
                path = folder / f"{k}.png"
                keras.utils.save_img(path, pixels, scale=False)
    given = {
        "unlabelled": more,
        "shares": {"dark": 0.75, "light": 0.25},
        "out": tmp_path / "out",
        "epochs": 1,
        "quiet": True,
    }
    result = workflows.finetune(tmp_path / "clothes", start, **given)
    titles = [row["title"] for row in result.rows]
    assert titles[:2] == ["solved head", "head with transported labels"]
    page = result.report_path.read_text("utf-8")
    assert "20 of 20 pictures without labels" in page
    assert "Least sure labels" in page
    again = workflows.finetune(tmp_path / "clothes", start, **given)
    assert again.rows == result.rows
    with pytest.raises(ValueError, match="shares"):
        workflows.finetune(
            tmp_path / "clothes", start, **{**given, "shares": "model"}
        )
