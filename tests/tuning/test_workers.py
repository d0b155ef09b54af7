import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

import keras_otreg

PROGRAM = pathlib.Path(__file__).with_name("worker.py")
PACKAGE = pathlib.Path(keras_otreg.__file__).parents[1]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def started(name, port, folder):
    """A process of the search, which does not outlive the test."""
    environment = {
        **os.environ,
        "KERASTUNER_TUNER_ID": name,
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(port),
        "PYTHONPATH": os.pathsep.join([str(PACKAGE), *sys.path]),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "no_proxy": "127.0.0.1",
    }
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(folder)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(timeout=60)


@pytest.mark.release
def test_two_workers_share_the_trials_of_a_chief(tmp_path):
    port = free_port()
    names = ["chief", "worker0", "worker1"]
    with contextlib.ExitStack() as stack:
        processes = {
            name: stack.enter_context(started(name, port, tmp_path))
            for name in names
        }
        for name in reversed(names):
            code = processes[name].wait(timeout=600)
            assert code == 0, (tmp_path / f"{name}.log").read_text()
    result = json.loads((tmp_path / "result.json").read_text())
    rows = result["trials"]
    assert {row["status"] for row in rows} == {"COMPLETED"}
    choices = {(row["transport/at"], row["transport/cost"]) for row in rows}
    assert len(choices) == len(rows) == 4
    assert result["best"]["accuracy"] == pytest.approx(rows[0]["score"])
    diaries = {path.stem: path for path in tmp_path.glob("*.diary")}
    assert set(diaries) == {"worker0", "worker1"}
    lines = sum(len(x.read_text().splitlines()) for x in diaries.values())
    assert lines == 4
