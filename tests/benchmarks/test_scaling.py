"""The simulation of many replicas: its arithmetic."""

import numpy as np
import pytest
import scaling
from results import tables
from scaling import Cost, Network, simulated

COSTS = [
    Cost("student", 32, 0.5, 1_000_000),
    Cost("teacher", 32, 0.1, 0),
    Cost("plan", 32, 0.05, 0),
    Cost("costs", 32, 0.02 + 0.032, 250_000),
    Cost("costs", 128, 0.02 + 0.128, 250_000),
    Cost("samples", 32, 0.01 + 32**2 * 1e-6, 64 * 501),
    Cost("samples", 128, 0.01 + 128**2 * 1e-6, 256 * 501),
]
NETWORK = Network(gigabytes=1.0, microseconds=0.0)


def test_one_replica_has_nothing_to_send():
    (line,) = simulated(COSTS, [1], Network())
    assert line["gradients"] == line["C"] == 0.0
    assert line["step"] == line["compute"] == pytest.approx(0.702)
    assert line["efficiency"] == 1.0
    assert line["gathered"] == pytest.approx(line["step"])


def test_what_is_added_up_does_not_grow_with_the_replicas():
    lines = [*simulated(COSTS, [2, 1024], NETWORK)]
    # A ring sends everything twice, but for what a replica has itself.
    for line, share in zip(lines, (1 / 2, 1023 / 1024), strict=True):
        assert line["gradients"] == pytest.approx(2 * 4e-3 * share)
        assert line["C"] == pytest.approx(2 * 1e-3 * share, rel=1e-3)
    assert lines[0]["compute"] == lines[1]["compute"]


def test_what_is_gathered_grows_with_the_replicas():
    one, many = simulated(COSTS, [1, 64], NETWORK)
    batch = 64 * 32
    collected = 4 * 64 * 501 * 64 * (63 / 64) / 1e9
    assert many["samples"] == batch
    assert many["MMD"] == pytest.approx(0.01 + batch**2 * 1e-6 + collected)
    more = many["gathered"] - one["gathered"] - many["gradients"]
    assert more == pytest.approx((batch - 32) * 1e-3 + collected)


def test_a_delay_counts_for_each_step_of_the_ring():
    slow = Network(gigabytes=1e9, microseconds=100.0)
    assert slow.added_up(1, 11) == pytest.approx(2 * 10 * 1e-4)


def test_times_that_shrink_by_noise_are_taken_as_constant():
    noisy = [*COSTS[:3], *COSTS[5:], Cost("costs", 32, 0.3, 250_000)]
    noisy.append(Cost("costs", 128, 0.2, 250_000))
    for line in simulated(noisy, [1, 1024], NETWORK):
        assert 0.0 < line["gathered"] < 10.0


def test_what_is_measured_and_what_is_simulated_are_two_tables():
    measured, many = tables(scaling.of_replica(COSTS, NETWORK)).values()
    assert len(measured[1]) == len(COSTS)
    assert many[1][-1][:2] == ["1024", str(1024 * 32)]


@pytest.mark.parametrize("part", ["costs", "samples", "plan"])
def test_every_part_of_the_work_gives_numbers(part):
    found = getattr(scaling, part)(6, 5)()
    assert found.shape == ((5, 5) if part == "plan" else (6, 5))
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 0.0
