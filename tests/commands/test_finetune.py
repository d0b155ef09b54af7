"""The command `finetune`, on a folder of small pictures."""

import csv
import re
import shutil

import keras
import numpy as np
import pytest

from keras_otreg.workflows.project import Project

FILES = ("model.keras", "classes.json", "history.csv", "report.html")


@pytest.fixture
def finetune(run, folder, teacher, tmp_path):
    def call(*arguments, out="out"):
        return run(
            "finetune",
            folder,
            *("--teacher", teacher, "--out", tmp_path / out),
            *("--epochs", 2, "--method", "transport", *arguments),
        )

    return call


def weights(path):
    return keras.saving.load_model(path).get_weights()


@pytest.mark.slow
def test_it_writes_a_plain_model_that_is_as_good_as_it_says(
    out, run, folder, finetune
):
    model = keras.saving.load_model(out / "model.keras")
    assert not any("keras_otreg" in type(x).__module__ for x in model.layers)
    code, shown, _ = finetune()
    assert code == 0
    assert shown.count("finished before") == 4
    row = re.search(r"│ (.+) = model.keras +│ [-+\d. ()]+│ ([\d.]+)", shown)
    told = " ".join(shown.split())
    assert f"model.keras is the network of '{row[1]}'" in told
    assert f"Accuracy {row[2]}" in run("evaluate", out, folder)[1]
    with (out / "history.csv").open(newline="") as file:
        stages = {row["stage"] for row in csv.DictReader(file)}
    assert stages == {"plain fine-tuning", "transport"}
    _check_report((out / "report.html").read_text("utf-8"), row[1])


def _check_report(page, chosen):
    """It needs no other file, trusts no name, and tells what was chosen."""
    sources = re.findall(r'(?:src|href)="([^"]{0,20})', page)
    assert sources
    assert all(x.startswith(("data:image", "#")) for x in sources)
    assert "<script" not in page
    assert "dark &amp; &lt;b&gt;" in page
    assert "dark & <b>" not in page
    for words in ("Comparison", "Confusion matrix", "<svg"):
        assert words in page
    (own,) = re.findall(r'<tr class="own">.*?</th>', page, re.DOTALL)
    assert chosen in own
    assert "model.keras" in own


@pytest.mark.slow
def test_shares_by_validation_are_in_the_report(finetune, folder, tmp_path):
    more = shutil.copytree(folder / "train", tmp_path / "unlabelled")
    for k in range(4):
        (more / "light" / f"{k}.png").unlink()
    code, shown, error = finetune(
        *("--unlabelled", more, "--shares", "validation"), out="more"
    )
    assert (code, error) == (0, "")
    assert "head with transported labels" in shown
    page = (tmp_path / "more" / "report.html").read_text("utf-8")
    (share,) = re.findall(r"dark &amp; &lt;b&gt;</th><td>([\d.]+)\s%", page)
    # Between half of the validation pictures and three of four others.
    assert 52.0 < float(share) < 75.0


@pytest.mark.slow
def test_what_is_finished_is_neither_done_again_nor_overwritten(out, finetune):
    stages = sorted((out / "stages").iterdir())
    times = [x.stat().st_mtime_ns for x in stages]
    first = weights(out / "model.keras")
    code, _, error = finetune("--weight", 3)
    assert code == 1
    assert "weight is None there, not 3.0" in error
    assert finetune("--quiet") == (0, "", "")
    assert [x.stat().st_mtime_ns for x in stages] == times
    for one, other in zip(first, weights(out / "model.keras"), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_an_interrupted_run_ends_like_one_that_was_not(
    finished, finetune, tmp_path, monkeypatch
):
    trained = Project.trained

    def stop(project, title, *how, **options):
        if title == "transport":
            raise KeyboardInterrupt
        return trained(project, title, *how, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Project, "trained", stop)
        assert finetune(out="stopped")[0] == 130
    assert not (tmp_path / "stopped" / "model.keras").exists()
    assert finetune(out="stopped")[1].count("finished before") == 2
    for one, other in zip(
        weights(finished / "stages" / "method.keras"),
        weights(tmp_path / "stopped" / "stages" / "method.keras"),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_plain_folder_of_classes_is_split_and_needs_no_penalty(
    run, folder, teacher, tmp_path
):
    code, shown, error = run(
        *("finetune", folder / "train", "--teacher", teacher, "--epochs", 1),
        *("--out", tmp_path / "out", "--quiet"),
    )
    assert (code, shown, error) == (0, "", "")
    assert all((tmp_path / "out" / name).exists() for name in FILES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--teacher", "nothing.keras"], "no teacher 'nothing.keras'"),
        (["--teacher", "NoSuchNet"], "MobileNetV2"),
        (["--at", "nowhere"], "keras-otreg inspect"),
        (["--at", "logits"], "a new head replaces those behind 'avg_pool'"),
        (["--shots", "7"], "`shots`. Expected a whole number from 1 to"),
        (["--method", "attention", "--at", "avg_pool"], "attention"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(finetune, arguments, words):
    code, _, error = finetune(*arguments)
    assert code == 1
    assert words in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "l2-sp", "--at", "maps"], "not for --method l2-sp"),
        (["--method", "none", "--at", "maps"], "--at: needs a --method"),
        (["--method", "none", "--weight", "1"], "--weight: needs a --method"),
    ],
)
def test_options_of_no_use_to_the_method_are_refused(
    finetune, capsys, arguments, words
):
    with pytest.raises(SystemExit) as error:
        finetune(*arguments)
    assert error.value.code == 2
    assert words in capsys.readouterr().err


def test_a_teacher_that_has_diverged_is_refused_at_once(
    finetune, teacher, tmp_path
):
    model = keras.saving.load_model(teacher)
    model.set_weights([x * np.nan for x in model.get_weights()])
    model.save(tmp_path / "diverged.keras")
    code, _, error = finetune("--teacher", tmp_path / "diverged.keras")
    assert code == 1
    assert "holds NaN" in error
    assert not list(tmp_path.glob("out/*"))


def test_a_folder_that_is_not_there_is_named(run, teacher, tmp_path):
    code, _, error = run(
        *("finetune", "nowhere", "--teacher", teacher),
        *("--out", tmp_path / "out"),
    )
    assert code == 1
    assert "nowhere" in error


@pytest.mark.slow
def test_missing_packages_are_named_with_their_remedy(finetune, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "jinja2", None)
    code, _, error = finetune()
    assert code == 1
    assert 'pip install "keras-otreg[pictures]"' in error
