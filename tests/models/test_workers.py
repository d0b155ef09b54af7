"""Training in two processes, of which one is killed."""

import pathlib
import socket
import time

import numpy as np
import pytest

HERE = pathlib.Path(__file__).parent
# In the middle of the second epoch of five steps.
LAST, STEPS = 8, 20

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def workers(script_process, tmp_path):
    """Starts two workers, of which the second may fall silent."""
    started = []

    def start(last=0):
        ports = []
        sockets = [socket.socket() for _ in range(2)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
            ports.append(each.getsockname()[1])
        for each in sockets:
            each.close()
        both = [
            script_process(HERE / "worker.py", k, *ports, tmp_path, k * last)
            for k in range(2)
        ]
        started.extend(both)
        return both

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()[1][-2000:]
        time.sleep(0.2)


@pytest.mark.release
def test_a_killed_worker_goes_on_from_its_backup(workers, run_script, tmp_path):
    first, second = workers(LAST)
    wait_for(tmp_path / "silent", second)
    second.kill()
    # It notices that the other one is gone.
    first.communicate()
    assert first.returncode != 0
    backups = sorted(path.name for path in tmp_path.glob("backup*"))
    assert backups == ["backup0", "backup1"]
    for process in workers():
        _, errors = process.communicate()
        assert process.returncode == 0, errors[-2000:]
    one_device = tmp_path / "one.npz"
    run_script(HERE / "fit_on_replicas.py", 1, one_device, "weighted")
    with (
        np.load(tmp_path / "0.npz") as found,
        np.load(tmp_path / "1.npz") as other,
        np.load(one_device) as expected,
    ):
        assert found["steps"] == STEPS
        for name in found:
            np.testing.assert_array_equal(found[name], other[name], name)
            if name == "steps" or name.endswith("/g"):
                continue
            value = expected[f"weighted: {name}"]
            np.testing.assert_allclose(
                found[name],
                value,
                rtol=0,
                atol=2e-5 * np.abs(value).max(),
                err_msg=name,
            )
