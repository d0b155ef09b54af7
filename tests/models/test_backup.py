"""A run that was cut off ends as one that was not."""

import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).with_name("backup.py")


def run(folder, task):
    return subprocess.run(
        [sys.executable, SCRIPT, folder, task],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.release
def test_a_killed_run_ends_with_the_same_weights_to_the_last_bit(tmp_path):
    killed = run(tmp_path, "cut off")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    backup = tmp_path / "backup" / "latest.weights.h5"
    assert backup.is_file()
    resumed = run(tmp_path, "go on")
    assert resumed.returncode == 0, resumed.stderr
    assert not backup.exists()
    with (
        np.load(tmp_path / "straight.npz") as expected,
        np.load(tmp_path / "resumed.npz") as found,
    ):
        assert len(expected.files) > 8
        for name in expected.files:
            np.testing.assert_array_equal(found[name], expected[name])
