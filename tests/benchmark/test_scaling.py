"""The simulation of many replicas: its arithmetic, and its page."""

import numpy as np
import pytest
import rich.console

from keras_otreg import __main__ as command_line
from keras_otreg.benchmark import scaling
from keras_otreg.benchmark.scaling import measuring, runner
from keras_otreg.benchmark.scaling.measuring import Cost
from keras_otreg.benchmark.scaling.simulation import simulated

COSTS = [
    Cost("student", 32, 0.5, 1_000_000),
    Cost("teacher", 32, 0.1, 0),
    Cost("plan", 32, 0.05, 0),
    Cost("costs", 32, 0.02 + 0.032, 250_000),
    Cost("costs", 128, 0.02 + 0.128, 250_000),
    Cost("samples", 32, 0.01 + 32**2 * 1e-6, 64 * 501),
    Cost("samples", 128, 0.01 + 128**2 * 1e-6, 256 * 501),
]
NETWORK = scaling.Network(gigabytes=1.0, microseconds=0.0)


def test_one_replica_has_nothing_to_send():
    (line,) = simulated(COSTS, [1], scaling.Network())
    assert line.gradients == line.costs == 0.0
    assert line.step == line.compute == pytest.approx(0.5 + 0.1 + 0.05 + 0.052)
    assert line.efficiency == 1.0
    assert line.gathered == pytest.approx(line.step)


def test_what_is_added_up_does_not_grow_with_the_replicas():
    lines = simulated(COSTS, [2, 1024], NETWORK)
    # A ring sends everything twice, but for what a replica has itself.
    for line, share in zip(lines, (1 / 2, 1023 / 1024), strict=True):
        assert line.gradients == pytest.approx(2 * 4e-3 * share)
        assert line.costs == pytest.approx(2 * 1e-3 * share, rel=1e-3)
    assert lines[0].compute == lines[1].compute


def test_what_is_gathered_grows_with_the_replicas():
    one, many = simulated(COSTS, [1, 64], NETWORK)
    batch = 64 * 32
    collected = 4 * 64 * 501 * 64 * (63 / 64) / 1e9
    assert many.batch == batch
    assert many.samples == pytest.approx(0.01 + batch**2 * 1e-6 + collected)
    more = many.gathered - one.gathered - many.gradients
    assert more == pytest.approx((batch - 32) * 1e-3 + collected)


def test_a_delay_counts_for_each_step_of_the_ring():
    slow = scaling.Network(gigabytes=1e9, microseconds=100.0)
    assert slow.added_up(1, 11) == pytest.approx(2 * 10 * 1e-4)


def test_times_that_shrink_by_noise_are_taken_as_constant():
    noisy = [*COSTS[:3], *COSTS[5:], Cost("costs", 32, 0.3, 250_000)]
    noisy.append(Cost("costs", 128, 0.2, 250_000))
    lines = simulated(noisy, [1, 1024], NETWORK)
    assert all(0.0 < line.gathered < 10.0 for line in lines)


def test_what_is_saved_is_read_again_and_written_into_a_page(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(runner, "measured", lambda *arguments: COSTS)
    console = rich.console.Console(width=100, record=True)
    scaling.run(True, NETWORK, tmp_path, console)
    shown = console.export_text()
    assert "Simulated" in shown
    assert "1024" in shown
    costs, lines, about = runner.read(tmp_path)
    assert costs == COSTS
    expected = simulated(COSTS, runner.REPLICAS, NETWORK)
    np.testing.assert_allclose(lines, expected)
    assert about["gigabytes"] == 1.0
    page = tmp_path / "page.md"
    page.write_text("# Scaling out\n\nBefore.\n")
    arguments = ["benchmark", "scaling", "--out", str(tmp_path)]
    assert command_line.main([*arguments, "--page", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("# Scaling out\n\nBefore.")
    assert "This is a simulation" in text
    assert text.count("\n| 1024 |") == 1


def test_without_results_there_is_no_page(tmp_path, capsys):
    page = tmp_path / "page.md"
    arguments = ["benchmark", "scaling", "--out", str(tmp_path / "none")]
    assert command_line.main([*arguments, "--page", str(page)]) == 1
    message = capsys.readouterr().err
    assert "expected costs.csv, " in message
    assert f"`keras-otreg {' '.join(arguments)}` writes" in message
    assert not page.exists()


@pytest.mark.parametrize("part", ["_costs", "_samples", "_plan"])
def test_every_part_of_the_work_gives_numbers(part):
    found = getattr(measuring, part)(6, 5)()
    assert found.shape == ((5, 5) if part == "_plan" else (6, 5))
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 0.0
