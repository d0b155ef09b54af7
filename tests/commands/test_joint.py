"""The command `joint`, on folders of small pictures."""

import keras
import numpy as np


def test_it_learns_beside_other_classes(run, folder, teacher, source, tmp_path):
    arguments = (
        *("joint", folder, source, "--teacher", teacher),
        *("--out", tmp_path / "out", "--epochs", 2, "--shots", 3),
    )
    code, shown, _ = run(*arguments)
    assert code == 0
    assert "joint transfer" in shown
    model = keras.saving.load_model(tmp_path / "out" / "model.keras")
    assert model.output_shape == (None, 2)
    plan = np.load(tmp_path / "out" / "stages" / "class_plan.npy")
    assert plan.shape == (3, 2)
    np.testing.assert_allclose(plan.sum(), 1.0, rtol=1e-3)
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "Which classes lean on which" in page
    assert run(*arguments)[1].count("finished before") == 3
