"""Training on several devices is training on one with the whole batch."""

import pathlib

import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).with_name("fit_on_replicas.py")

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def fitted(run_script, tmp_path_factory):
    """Logs and weights after 20 steps of each case, by their names."""
    folder = tmp_path_factory.mktemp("fitted")

    def fit(count, names):
        path = folder / f"{count}-{len(names)}.npz"
        if not path.exists():
            run_script(SCRIPT, count, path, *names)
        with np.load(path) as found:
            return dict(found)

    return fit


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (2, ("weighted",)),
        # All cases.
        *(pytest.param(n, (), marks=pytest.mark.release) for n in (2, 4)),
    ],
)
def test_replicas_log_and_learn_what_one_device_does(fitted, count, names):
    expected, found = fitted(1, names), fitted(count, names)
    assert set(found) == set(expected)
    for name, value in expected.items():
        # Keras weighs `loss` by batch size where a batch is uneven. Potentials
        # are known up to a constant.
        if name == "uneven: log loss" or name.endswith("/g"):
            continue
        size = np.abs(value).max()
        np.testing.assert_allclose(
            found[name], value, rtol=0, atol=2e-5 * size, err_msg=name
        )


@pytest.mark.release
def test_a_second_strategy_may_have_another_loss(run_script):
    printed = run_script(SCRIPT.with_name("second_strategy.py"))
    values = [float(line) for line in printed.split()]
    assert len(values) == 3
    assert np.isfinite(values).all()
