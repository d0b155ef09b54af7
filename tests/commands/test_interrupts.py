"""Ctrl-C, in processes of their own."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_otreg.commands import interrupts

in_processes = pytest.mark.slow
LIMIT = 300
PROGRAM = ("-m", "keras_otreg")


def start(*arguments):
    """Python in a process group of its own, as a terminal starts it."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_interrupts,
    )


def _heed_interrupts():
    """What runs in the background, as these tests may, ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(process, is_ready):
    """What a process says after Ctrl-C, and its exit code."""
    try:
        end = time.monotonic() + LIMIT
        while not is_ready():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        _, message = process.communicate(timeout=LIMIT)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return message, process.returncode


def assert_plainly_interrupted(message, code, out):
    assert code == 130
    # What TensorFlow says before it can be asked to be quiet is not ours.
    others = r"(WARNING: All log|I0000|keras-otreg: (warning|loading)).*\n"
    assert re.sub(others, "", message) == "keras-otreg: interrupted\n"
    assert not [x for x in out.rglob("*") if "unfinished" in x.name]


@in_processes
@pytest.mark.parametrize(
    "command",
    [
        ["demo", "--quick"],
        pytest.param(["demo", "--quick", "--joint"], marks=pytest.mark.release),
    ],
    ids=["demo", "joint"],
)
def test_a_command_ends_in_one_line_and_keeps_earlier_results(
    command, tmp_path
):
    earlier = tmp_path / "table.csv"
    earlier.write_text("earlier")
    out = tmp_path / "out"
    process = start(*PROGRAM, *command, "--out", out)
    answer = interrupted(process, out.exists)
    assert_plainly_interrupted(*answer, out)
    assert earlier.read_text() == "earlier"


@pytest.mark.release
@in_processes
def test_a_comparison_keeps_what_it_has_measured(folder, tmp_path):
    cells, tasks = tmp_path / "cells.csv", tmp_path / "tasks.yaml"
    tasks.write_text(
        "protocol: {shown: plain, trials: 1, seeds: 500}\n"
        "tasks: {photos: {labels: 1, steps: 1, image_size: 32}}\n"
        "methods: {plain: {uses: plain}}"
    )
    process = start(
        *(*PROGRAM, "benchmark", "accuracy", "--data", folder),
        *("--tasks", tasks, "--out", tmp_path),
    )
    answer = interrupted(process, cells.exists)
    assert_plainly_interrupted(*answer, tmp_path)
    with cells.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert all(float(row["validation"]) >= 0.0 for row in rows)


@pytest.mark.release
@in_processes
def test_a_search_keeps_its_trials(folder, teacher, tmp_path):
    stages = tmp_path / "out" / "stages"
    process = start(
        *PROGRAM,
        *("tune", "--data", folder, "--teacher", teacher, "--trials", "500"),
        *("--epochs", "1", "--out", tmp_path / "out"),
    )
    answer = interrupted(process, (stages / "trial-001.json").exists)
    assert_plainly_interrupted(*answer, tmp_path)
    for state in stages.glob("*.json"):
        json.loads(state.read_text())


TRAINING = """
import pathlib, sys
import keras, numpy as np
import keras_otreg as otreg

folder = pathlib.Path(sys.argv[1])
student = keras.Sequential([
    keras.Input((4,)),
    keras.layers.Dense(5, "relu", name="features"),
    keras.layers.BatchNormalization(),
    keras.layers.Dense(1),
])
penalty = otreg.Penalty(otreg.losses.Hint(), at="features")
model = otreg.TransferModel(student, penalties=[penalty])
model.compile("adam", "mse")
started = keras.callbacks.LambdaCallback(
    on_epoch_end=lambda *_: (folder / "started").touch()
)
x = np.random.default_rng(0).normal(size=(64, 4))
try:
    model.fit(x, x[:, :1], epochs=10**6, verbose=0, callbacks=[started])
except KeyboardInterrupt:
    model.save(folder / "model.keras")
    sys.exit(130)
"""


@in_processes
def test_an_interrupted_training_can_be_saved_and_goes_on(tmp_path):
    process = start("-c", TRAINING, tmp_path)
    message, code = interrupted(process, (tmp_path / "started").exists)
    assert code == 130, message
    model = keras.saving.load_model(tmp_path / "model.keras")
    assert int(model.optimizer.iterations) > 0
    x = np.ones((8, 4))
    history = model.fit(x, x[:, :1], verbose=0).history
    assert np.isfinite(history["loss"]).all()


MODULE = """
import importlib.util, sys
place = importlib.util.spec_from_file_location("interrupts", sys.argv[1])
interrupts = importlib.util.module_from_spec(place)
place.loader.exec_module(interrupts)
try:
    with interrupts.heeded():
        exec("raise KeyboardInterrupt")
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_code_that_was_made_of_a_string_changes_no_exit_code(tmp_path):
    (tmp_path / "interrupted.py").write_text(MODULE)
    arguments = ("-m", "interrupted", interrupts.__file__)
    ended = subprocess.run([sys.executable, *arguments], cwd=tmp_path)
    assert ended.returncode == 130


class Deaf:
    """Falls to Ctrl-C where no error can leave."""

    def __del__(self):
        raise KeyboardInterrupt


@pytest.fixture
def heeding():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def lose_an_interrupt():
    Deaf()
    for _ in range(LIMIT):
        time.sleep(0.1)


def end_on_a_lost_interrupt():
    Deaf()
    raise KeyboardInterrupt


def test_an_interrupt_that_was_lost_is_repeated(heeding):
    with pytest.raises(KeyboardInterrupt), interrupts.heeded():
        lose_an_interrupt()


def test_nothing_interrupts_what_follows_the_work(heeding):
    with pytest.raises(KeyboardInterrupt), interrupts.heeded():
        end_on_a_lost_interrupt()
    time.sleep(0.3)
