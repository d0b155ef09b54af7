"""What the benchmark of speed measures is checked, never how fast it is."""

import floor
import numpy as np
import pytest
import solvers
import speed
import tensorflow as tf
import training
from problems import best_value, noise, quality
from results import Row, row

pytestmark = pytest.mark.compiled


def test_costs_have_a_mean_of_one():
    costs = noise(20, 0.1).costs("float64")
    assert np.mean(costs) == pytest.approx(1.0, rel=1e-5)


@pytest.mark.release
@pytest.mark.parametrize(
    "solver", [solvers.ours, lambda *x: solvers.pot(*x, "numpy")]
)
def test_whoever_solves_a_problem_finds_its_best_value(solver):
    of = noise(20, 0.1)
    f, g, _ = solver(of, solvers.Task(2000, 1e-9, "float64"))()
    found, best = quality(of, f, g), best_value(of)
    assert found.error < 1e-6
    assert found.value == pytest.approx(best, rel=1e-7)
    worse = quality(of, f + 0.01, g)
    assert worse.error > 1e-3
    assert worse.value < found.value


@pytest.mark.release
def test_many_small_problems_are_judged_whoever_solves_them():
    small = speed.small_problems(3, 12)
    best = best_value(small)
    for work in speed.batch_works(small).values():
        found = quality(small, *work()[:2])
        assert found.error.shape == found.value.shape == (3,)
        assert np.all(found.error < 2e-3)
        np.testing.assert_allclose(found.value, best, rtol=1e-3)


@pytest.mark.release
def test_growth_and_profile_tell_their_errors_beside_the_time():
    for measured in (speed.growth([16, 32], 1), speed.profile([32], 1)):
        for found in (x.values for x in measured if isinstance(x, Row)):
            assert {"error", "gap"} & set(found)
            assert abs(found.get("gap", 0.0)) < 1e-3
            assert 0 < found.get("error", 0.5) < 1


def test_a_peer_counts_where_it_arrived():
    ours = [row("p", on=str(k), by="keras_otreg", time=1.0) for k in range(3)]
    missed = {"": "not reached"}
    peers = [
        row("p", on="0", by="Peer", time=4.0),
        row("p", on="1", by="Peer, fast", time=2.0),
        row("p", on="2", by="Peer", time=0.1, **missed),
        row("p", on="0", by="Slow", time=0.1, **missed),
    ]
    first, second = speed.of_tolerance([*ours, *peers])
    assert "Peer at every point" in first.text
    assert first.measured == (
        "it arrived in 2 of 3 runs; 2.00 times at least, median 3.0"
    )
    assert first.kept
    assert "never arrived, in 1 runs" in second.measured
    assert second.kept is None
    late = row("p", on="0", by="keras_otreg", time=1.0, **missed)
    found = speed.of_tolerance([late, *ours[1:], *peers])
    assert [claim.kept for claim in found] == [False, False]


def test_warm_starts_are_told_beside_the_same_solver_started_cold():
    medians = {training.COLD: 35.5, training.SAME: 11.5, training.WARM: 4}
    _, claim = training.of_warm_starts("iterations", medians)
    assert claim.measured == (
        "8.9 times; 2.9 times fewer than the same solver started cold"
    )
    assert claim.kept


def test_each_step_is_over_another_batch_as_in_fit():
    data = tf.data.Dataset.range(6).batch(2).map(lambda x: (x, 10 * x))
    step = training.over(data, lambda x, y: (x[0].numpy(), y[0].numpy()))
    assert [step() for _ in range(4)] == [(0, 0), (2, 20), (4, 40), (0, 0)]


def test_caches_that_cores_share_count_once(tmp_path):
    for cpu, level, cores, size in (
        (0, 2, "0", "2048K"),
        (0, 3, "0-1", "32768K"),
        (1, 3, "0-1", "32768K"),
        (2, 3, "2-3", "32768K"),
    ):
        folder = tmp_path / f"cpu{cpu}" / "cache" / f"index{level}"
        folder.mkdir(parents=True)
        (folder / "level").write_text(f"{level}\n")
        (folder / "shared_cpu_list").write_text(f"{cores}\n")
        (folder / "size").write_text(f"{size}\n")
    assert floor.cache(tmp_path) == 64 * 2**20
    (folder / "size").write_text("many\n")
    assert floor.cache(tmp_path) == floor.cache(tmp_path / "no") == floor.CACHE


@pytest.mark.slow
def test_bare_products_are_the_same_however_they_are_made():
    works = floor.matmul_pairs(noise(20, 0.1), 3)
    first, *others = (work() for work in works.values())
    assert len(others) == 3
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-5)


def test_memory_is_read_by_the_fastest_way(monkeypatch):
    monkeypatch.setattr(floor, "cache", lambda: 2**20)
    monkeypatch.setattr(floor, "LEAST_READ", 2**20)
    works, bytes_read = floor.reading()
    assert bytes_read == 2**21
    assert len({float(work()) for work in works.values()}) == 2
    times = {name: k + 2.0 for k, name in enumerate(works)}
    times["ours"] = 1.0
    assert floor.seconds_per_byte(times, 4) == 0.5
    assert times == {"ours": 1.0}


@pytest.mark.parametrize(("cache", "kept"), [(64, False), (32, True)])
def test_the_floor_follows_the_cache(cache, kept):
    times = {
        "keras_otreg": 2.0,
        "OTT-JAX, log": 9.0,
        "OTT-JAX, kernel": 9.0,
        "POT TensorFlow": 9.0,
        "two bare products": 3.0,
        "two bare products, XLA": 1.0,
        "reading the kernel": 4.0,
    }
    *_, claim = speed.of_fixed_work("100", 4096, times, cache * 2**20)
    least = "reading the kernel" if kept else "two bare products"
    assert claim.text.endswith(f"within 1.5 times {least}")
    assert claim.kept is kept
