"""The soak: what it counts and says is checked, never how much it is."""

import numpy as np
import psutil
import pytest
import soak
from results import Claim
from soak import Round

from keras_otreg.data import Labelled


def lived(growth, threads=7, handles=5):
    """Eleven rounds, a minute each, of which the first five do not count."""
    early = [Round(k + 1, float(k), 500.0 + 90.0 * k, 1, 1) for k in range(5)]
    late = [
        Round(k + 1, float(k), 900.0 + growth * k, 7, 5) for k in range(5, 10)
    ]
    return [*early, *late, Round(11, 10.0, 900 + 10 * growth, threads, handles)]


@pytest.mark.parametrize("growth", [0.25, -3.0])
def test_growth_is_that_of_the_second_half(growth):
    assert soak.slope(lived(growth)) == pytest.approx(growth)


@pytest.mark.parametrize(
    ("rounds", "kept"),
    [
        (lived(0.9), [True, True, True]),
        (lived(1.1), [False, True, True]),
        (lived(0.0, threads=8), [True, False, True]),
        (lived(0.0, handles=6), [True, True, False]),
        (lived(0.0, threads=6, handles=4), [True, True, True]),
    ],
)
def test_what_is_left_misses_a_target(rounds, kept):
    found = [*soak.of_rounds("a model", rounds)]
    assert [x.kept for x in found if isinstance(x, Claim)] == kept
    assert found[0].values["round"] == 1
    assert found[soak.SHOWN - 1].values["round"] == 11


def test_a_process_is_looked_at():
    before = soak.taken(psutil.Process(), 1, 0.5)
    with open("/dev/null"):
        after = soak.taken(psutil.Process(), 2, 1.0)
    assert after.handles == before.handles + 1
    assert before.megabytes > 50
    assert before.threads >= 1


@pytest.mark.release
@pytest.mark.parametrize(
    ("plain", "anew"), [(False, False), (False, True), (True, True)]
)
def test_two_rounds_are_lived(plain, anew, monkeypatch):
    monkeypatch.setattr(soak, "EPOCHS", 2)
    x = np.random.default_rng(0).random((20, 28, 28, 1)).astype("float32")
    data = Labelled(x, np.arange(20) % 10)
    monkeypatch.setattr(soak, "optdigits", lambda: (data, data))
    first, second, *claims = soak.soak(plain, anew, 0)
    assert (first.values["round"], second.values["round"]) == (1, 2)
    assert first.values["minute"] < second.values["minute"]
    assert len(claims) == 3
