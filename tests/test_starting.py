"""How a program starts, in processes of their own, with a false Keras."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

import keras_otreg
from keras_otreg import starting

NOISE = "import os, signal, time\nos.write(2, b'noise\\n')\n"
LOADING = "keras-otreg: loading Keras and TensorFlow ...\n"
CTRL_C = "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"


@pytest.fixture
def start(tmp_path):
    """Runs Python where this is Keras."""

    def run(keras, *arguments, **variables):
        (tmp_path / "keras.py").write_text(keras)
        root = pathlib.Path(keras_otreg.__file__).parent.parent
        kept = {k: v for k, v in os.environ.items() if k != starting.LEVEL}
        return subprocess.run(
            [sys.executable, *arguments],
            env={**kept, "PYTHONPATH": f"{tmp_path}:{root}", **variables},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.mark.parametrize("variables", [{}, {starting.LEVEL: "0"}])
def test_ctrl_c_during_the_import_ends_it_in_one_line(start, variables):
    noise = NOISE if not variables else "import os, signal, time\n"
    ended = start(noise + CTRL_C, "-m", "keras_otreg", "demo", **variables)
    assert ended.stderr == LOADING + "keras-otreg: interrupted\n"
    assert ended.returncode == 130


def test_an_import_by_someone_elses_program_is_left_alone(start):
    ended = start(NOISE + CTRL_C, "-c", "import keras_otreg")
    assert ended.stderr.startswith("noise\n")
    assert "KeyboardInterrupt" in ended.stderr


def test_a_level_that_someone_has_set_is_left_alone(start):
    keras = NOISE + "raise SystemExit(5)\n"
    ended = start(keras, "-m", "keras_otreg", "demo", **{starting.LEVEL: "0"})
    assert (ended.stderr, ended.returncode) == (LOADING + "noise\n", 5)


@pytest.mark.parametrize("option", ["--version", "--help", "nonsense"])
def test_options_are_read_without_keras(start, option):
    ended = start("raise SystemExit(5)\n", "-m", "keras_otreg", option)
    assert ended.returncode == (2 if option == "nonsense" else 0)


@pytest.mark.slow
def test_the_long_import_is_announced_unless_silence_is_wanted(start):
    keras = "raise SystemExit(5)\n"
    loud = start(keras, "-m", "keras_otreg", "demo")
    quiet = start(keras, "-m", "keras_otreg", "demo", "--quiet")
    assert (loud.stderr, quiet.stderr) == (LOADING, "")
    assert loud.returncode == quiet.returncode == 5


@pytest.mark.parametrize(
    ("started", "script", "expected"),
    [
        (["python", "-m", "keras_otreg", "demo"], "x/__main__.py", True),
        (["python", "-u", "-m", "keras_otreg"], "x/__main__.py", True),
        (["python", "/usr/bin/keras-otreg"], "/usr/bin/keras-otreg", True),
        (["python", "-m", "pytest"], "pytest", False),
        (["python", "keras_otreg.py"], "keras_otreg.py", False),
    ],
)
def test_only_the_command_line_is_a_program(
    monkeypatch, started, script, expected
):
    monkeypatch.setattr(sys, "orig_argv", started)
    monkeypatch.setattr(sys, "argv", [script])
    assert starting.is_program("keras_otreg") is expected
