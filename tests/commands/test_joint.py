"""The command `joint`, on folders of small pictures."""

import json
import re

import keras
import numpy as np
import pytest


@pytest.mark.slow
def test_it_learns_beside_other_classes(run, folder, teacher, source, tmp_path):
    arguments = (
        *("joint", folder, source, "--teacher", teacher),
        *("--out", tmp_path / "out", "--epochs", 2, "--shots", 3),
    )
    code, shown, _ = run(*arguments)
    assert code == 0
    assert "joint transfer" in shown
    assert "model.keras is the network of" in shown
    model = keras.saving.load_model(tmp_path / "out" / "model.keras")
    assert model.output_shape == (None, 2)
    plan = np.load(tmp_path / "out" / "stages" / "joint.npz")["class plan"]
    assert plan.shape == (3, 2)
    np.testing.assert_allclose(plan.sum(), 1.0, rtol=1e-3)
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "Plan between the classes" in page
    assert "Source classes near the target" in page
    # It has no such options.
    assert not re.search(r"(?<!-)(--weight|--tune)", page)
    assert run(*arguments)[1].count("finished before") == 5
    (tmp_path / "out" / "stages" / "joint.npz").write_bytes(b"half")
    code, _, message = run(*arguments)
    assert code == 1
    assert "joint.json' to have it made again" in message
    # A folder of a version whose trainings began from another head.
    settings = tmp_path / "out" / "run.json"
    known = json.loads(settings.read_text("utf-8"))
    del known["pictures of a source class"]
    settings.write_text(json.dumps(known), "utf-8")
    code, _, message = run(*arguments)
    assert code == 1
    assert "pictures of a source class is None there" in message


def test_target_and_source_are_two_folders(run, folder, teacher, tmp_path):
    out = tmp_path / "out"
    arguments = ("joint", folder, folder, "--teacher", teacher, "--out", out)
    code, _, message = run(*arguments)
    assert code == 1
    assert "twice" in message


def test_results_do_not_lie_among_pictures(run, folder, teacher):
    out = folder / "train" / "out"
    code, _, message = run(
        "finetune", folder, "--teacher", teacher, "--out", out
    )
    assert code == 1
    assert "outside of the pictures" in message
    assert not out.exists()
