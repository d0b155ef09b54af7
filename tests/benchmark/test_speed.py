"""The benchmark of speed: what it measures is checked, never how fast."""

import json
import math
import sys

import numpy as np
import pytest
import rich.console
import tensorflow as tf

from keras_otreg import __main__ as command_line
from keras_otreg.benchmark.machine import cache_bytes
from keras_otreg.benchmark.speed import (
    PARTS,
    fixed_work,
    floor,
    problems,
    profile,
    runner,
    scaling,
    solvers,
    to_tolerance,
    training_step,
    warm_starts,
    write_page,
)
from keras_otreg.benchmark.speed.measure import Claim, Row, interleaved
from keras_otreg.benchmark.speed.record import EARLIER, claims, read, rows
from keras_otreg.benchmark.speed.report import Report, tables
from keras_otreg.commands import benchmark_speed

pytestmark = pytest.mark.compiled

ROWS = [
    Row("growth with size", "256", "20 iterations", 0.001),
    Row("growth with size", "512", "20 iterations", 0.0042),
    Row("to 0.001", "noise", "keras_otreg", 2.5, 12, 9e-4, 1e-6, "not reached"),
    Row("memory", "4096", "keras_otreg", note="1.5 matrices"),
]
CLAIMS = [Claim("faster", "3 times", True), Claim("smaller", "twice", False)]


@pytest.fixture
def report(tmp_path):
    made = Report(tmp_path / "out", PARTS)
    made.folder.mkdir()
    made.put("memory", [ROWS[3], CLAIMS[1]])
    made.put("tolerance", ROWS[2:3])
    made.put("growth", [*ROWS[:2], CLAIMS[0]])
    return made


@pytest.fixture
def parts(monkeypatch):
    """What each part of a run measures, and which ones were."""
    ran = []

    def part(name):
        def measure(quick):
            ran.append(name)
            yield Row(f"{name}, title", "case", "new", 1.0)
            yield Claim(f"{name} is fast", "new", True)

        return measure

    for name in PARTS:
        monkeypatch.setitem(runner.PARTS, name, part(name))
    return ran


def test_the_command_knows_every_part():
    assert tuple(PARTS) == benchmark_speed.PARTS


def test_all_works_are_run_in_turn_and_once_before_each_time():
    calls = []
    works = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = interleaved(works, 3)
    assert "".join(calls) == "ab" + 3 * "aabb"
    assert set(times) == {"a", "b"}
    assert all(seconds >= 0 for seconds in times.values())


def test_a_slow_work_is_not_run_for_ever():
    calls = []
    interleaved({"slow": lambda: calls.append(0)}, 100, patience=0.0)
    assert len(calls) == 3


@pytest.mark.slow
def test_quality_is_that_of_the_plan():
    of = problems.noise(20, 0.1)
    f, g, _ = solvers.ours(of, solvers.Task(500, 1e-9, "float64"))()
    found = problems.quality(of, f, g)
    assert found.marginal_error < 1e-8
    assert found.value == pytest.approx(problems.best_value(of), rel=1e-7)
    worse = problems.quality(of, f + 0.01, g)
    assert worse.marginal_error > 1e-3
    assert worse.value < found.value


def test_another_librarys_potentials_are_of_the_same_problem():
    of = problems.noise(20, 0.1)
    f, g, _ = solvers.pot(of, solvers.Task(2000, 1e-10, "float64"), "numpy")()
    found = problems.quality(of, f, g)
    assert found.marginal_error < 1e-6
    assert found.value == pytest.approx(problems.best_value(of), rel=1e-7)


def test_costs_have_a_mean_of_one():
    of = problems.noise(20, 0.1)
    assert np.mean(of.costs("float64")) == pytest.approx(1.0, rel=1e-5)


def test_tables_leave_out_empty_columns():
    found = tables(ROWS)
    assert list(found) == ["growth with size", "to 0.001", "memory"]
    assert found["growth with size"][0] == ["on", "by", "time"]
    assert found["growth with size"][1][0] == ["256", "20 iterations", "1 ms"]
    assert found["to 0.001"][1][0][2:] == [
        "2.5 s",
        "12",
        "9.0e-04",
        "1.0e-06",
        "not reached",
    ]


def test_a_peer_counts_where_it_arrived():
    ours = [Row("p", str(k), "keras_otreg", 1.0) for k in range(3)]
    peers = [
        Row("p", "0", "Peer", 4.0),
        Row("p", "1", "Peer, fast", 2.0),
        Row("p", "2", "Peer", 0.1, note="not reached"),
        Row("p", "0", "Slow", 0.1, note="not reached"),
    ]
    first, second = to_tolerance.claims([*ours, *peers])
    assert "Peer at every point" in first.text
    assert first.measured == (
        "it arrived in 2 of 3 runs; 2.00 times at least, median 3.0"
    )
    assert first.kept
    assert second.measured == (
        "it never arrived, in 1 runs: nothing to compare with"
    )
    assert second.kept is None
    missed = ours[0]._replace(note="not reached")
    found = to_tolerance.claims([missed, *ours[1:], *peers])
    assert [claim.kept for claim in found] == [False, False]


def test_a_claim_without_a_comparison_is_open(report, tmp_path):
    report.put("tolerance", [ROWS[2], Claim("faster", "never arrived", None)])
    report.write(quick=True)
    (*_, claim) = read(report.folder).found["tolerance"]
    assert claim == Claim("faster", "never arrived", None)
    page = tmp_path / "results.md"
    write_page(report.folder, page)
    assert "| **open** | faster | never arrived |" in page.read_text()


def test_warm_starts_are_told_beside_the_same_solver_started_cold():
    medians = dict.fromkeys(warm_starts.METHODS, 20.0)
    medians.update(
        {"plain, cold": 35.5, "running costs, cold": 11.5, warm_starts.WARM: 4}
    )
    _, claim = warm_starts.claims(medians)
    assert claim.measured == (
        "8.9 times; 2.9 times fewer than the same solver started cold"
    )
    assert claim.kept


def test_growth_and_profile_print_their_errors_beside_the_time():
    for measured in (scaling.grown([16, 32], 1), profile.measure([32], 1)):
        found = [x for x in measured if isinstance(x, Row)]
        for row in found:
            gap, error = row.value_gap, row.marginal_error
            assert math.isnan(gap) or abs(gap) < 1e-3
            assert math.isnan(error) or 0 < error < 1
            assert not (math.isnan(gap) and math.isnan(error))


def test_many_small_problems_are_judged_whoever_solves_them():
    small = scaling.small_problems(3, 12)
    best = problems.best_values(small)
    for solver in (scaling.one_batch, scaling.one_by_one):
        found = problems.qualities(small, *solver(small)())
        assert found.marginal_error.shape == found.value.shape == (3,)
        assert np.all(found.marginal_error < 2e-3)
        np.testing.assert_allclose(found.value, best, rtol=1e-3)


def test_each_step_is_over_another_batch_as_in_fit():
    data = tf.data.Dataset.range(6).batch(2).map(lambda x: (x, 10 * x))
    step = training_step.over(data, lambda x, y: (x[0].numpy(), y[0].numpy()))
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
    assert cache_bytes(tmp_path) == 64 * 2**20
    (folder / "size").write_text("many\n")
    assert cache_bytes(tmp_path) is None
    assert cache_bytes(tmp_path / "none") is None


def test_bare_products_are_the_same_however_they_are_made():
    works = floor.matmul_pairs(problems.noise(20, 0.1), 3)
    first, *others = (work() for work in works.values())
    assert len(others) == 3
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-5)


def test_memory_is_read_by_the_fastest_way(monkeypatch):
    monkeypatch.setattr(floor, "cache", lambda: 3 * floor.LEAST_READ // 4)
    works, bytes_read = floor.reading()
    assert bytes_read == 3 * floor.LEAST_READ // 2
    assert len(works) == 3
    times = {name: k + 2.0 for k, name in enumerate(works)}
    times["ours"] = 1.0
    assert floor.seconds_per_byte(times, 4) == 0.5
    assert times == {"ours": 1.0}


@pytest.mark.parametrize(
    ("cache", "floor_name", "measured"),
    [
        (
            64,
            "two bare products",
            "2.00 times two bare products, XLA: 64 MiB fit in the cache of "
            "64 MiB",
        ),
        (
            32,
            "reading the kernel",
            "0.50 times reading the kernel: 64 MiB do not fit in the cache of "
            "32 MiB",
        ),
    ],
)
def test_the_floor_follows_the_cache(cache, floor_name, measured):
    times = {
        "keras_otreg": 2.0,
        "OTT-JAX, log": 9.0,
        "OTT-JAX, kernel": 9.0,
        "POT TensorFlow": 9.0,
        "two bare products": 3.0,
        "two bare products, XLA": 1.0,
        "reading the kernel": 4.0,
    }
    *_, claim = fixed_work.claims(4096, times, cache * 2**20)
    assert claim.text.endswith(f"within 1.5 times {floor_name}")
    assert claim.measured == measured
    assert claim.kept == (cache == 32)


def test_what_is_saved_is_read_again(report):
    report.write(quick=True)
    found = read(report.folder)
    assert list(found.found) == ["memory", "tolerance", "growth"]
    assert claims(found.found) == CLAIMS[::-1]
    for a, b in zip(rows(found.found), [*ROWS[3:1:-1], *ROWS[:2]], strict=True):
        for x, y in zip(a, b, strict=True):
            assert x == y or (math.isnan(x) and math.isnan(y))
    assert found.about["quick"] is True
    assert "tensorflow" in " ".join(found.about)
    assert not list(report.folder.glob("*.part"))
    assert not list(report.folder.rglob("*unfinished*"))
    assert (report.folder / "growth.png").stat().st_size > 1000


def test_the_screen_shows_every_line_and_what_is_not_kept(report):
    console = rich.console.Console(width=120, record=True)
    report.show(console)
    shown = console.export_text()
    for words in ("20 iterations", "not reached", "1.5 matrices", "not met"):
        assert words in shown


def test_a_section_of_the_page_is_replaced_and_the_rest_stays(report, tmp_path):
    page = tmp_path / "results.md"
    page.write_text("# Results\n\nBefore.\n")
    for _ in range(2):
        report.write(quick=False)
        write_page(report.folder, page)
    text = page.read_text()
    assert text.startswith("# Results\n\nBefore.")
    assert text.count("## Speed") == 1
    assert "| **not met** | smaller | twice |" in text
    assert (tmp_path / "img" / "growth.png").exists()


def test_one_part_leaves_what_the_others_measured(report, parts, tmp_path):
    report.write(quick=True)
    before = read(report.folder)
    console = rich.console.Console(quiet=True)
    runner.run(["batch", "memory", "batch"], True, report.folder, console)
    assert parts == ["batch", "memory"]
    after = read(report.folder)
    assert list(after.found) == ["memory", "tolerance", "growth", "batch"]
    assert [x.text for x in claims(after.found)] == [
        "memory is fast",
        "faster",
        "batch is fast",
    ]
    assert after.found["growth"][2] == before.found["growth"][2]
    assert set(after.about[EARLIER]) == {"tolerance", "growth"}
    page = tmp_path / "results.md"
    write_page(report.folder, page)
    assert "Measured earlier: tolerance, growth. Command: " in page.read_text()


def test_only_the_libraries_of_the_parts_are_needed(
    tmp_path, parts, monkeypatch
):
    for library in ("torch", "ott", "geomloss", "jax", "ot"):
        monkeypatch.setitem(sys.modules, library, None)
    console = rich.console.Console(quiet=True)
    runner.run(["start-up", "step"], True, tmp_path, console)
    assert parts == ["start-up", "step"]
    with pytest.raises(ImportError, match="benchmark"):
        runner.run(["start-up", "tolerance"], True, tmp_path, console)
    assert parts == ["start-up", "step"]


def test_all_parts_begin_anew(report, parts, monkeypatch):
    # The libraries to compare with are not part of the tests.
    monkeypatch.setattr(runner, "LIBRARIES", {})
    report.write(quick=True)
    console = rich.console.Console(quiet=True)
    runner.run(PARTS, False, report.folder, console)
    found = read(report.folder)
    assert list(found.found) == list(PARTS)
    # After it, TensorFlow is not what it was.
    *others, last = parts
    assert last == "fixed-work"
    assert others == [name for name in PARTS if name != last]
    assert EARLIER not in found.about


@pytest.mark.parametrize("key", ["quick", "numpy"])
def test_results_of_something_else_are_not_mixed(report, parts, key):
    report.write(quick=True)
    run = report.folder / "run.json"
    run.write_text(json.dumps({**json.loads(run.read_text()), key: "other"}))
    console = rich.console.Console(quiet=True)
    with pytest.raises(ValueError, match=f"{key} is 'other' there"):
        runner.run(["memory"], True, report.folder, console)
    assert not parts


def test_without_results_there_is_no_page(tmp_path, capsys):
    page = tmp_path / "results.md"
    arguments = ["benchmark", "speed", "--out", str(tmp_path / "none")]
    assert command_line.main([*arguments, "--page", str(page)]) == 1
    message = capsys.readouterr().err
    assert "expected speed.csv, " in message
    assert f"`keras-otreg {' '.join(arguments)}` writes" in message
    assert not page.exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.json", '{"command": "benchmark speed"}'),
        ("run.json", '{"quick": false}'),
        ("run.json", "{"),
        ("speed.csv", ""),
        ("speed.csv", "only,part,case\r\n"),
        ("claims.csv", ""),
        ("claims.csv", "only,text,measured,kept\r\nstep,fast,twice,Tr"),
        ("claims.csv", "only,text,measured,kept\r\nstep,fast"),
    ],
)
def test_damaged_results_are_named_with_the_way_out(
    report, tmp_path, capsys, name, text
):
    report.write(quick=True)
    (report.folder / name).write_text(text)
    page = tmp_path / "results.md"
    command = ["benchmark", "speed", "--out", str(report.folder)]
    assert command_line.main([*command, "--page", str(page)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"'{report.folder / name}'. Received: a file that is da" in line
    assert "give another --out, or delete" in line
    assert not page.exists()


def test_claims_of_a_part_without_rows_are_damage(report):
    report.put("step", CLAIMS)
    report.write(quick=True)
    with pytest.raises(ValueError, match="speed.csv'. Received: a file that"):
        read(report.folder)


@pytest.mark.parametrize("lost", ["begin", "end"])
def test_a_page_that_lost_a_mark_stays_as_it_is(report, tmp_path, capsys, lost):
    report.write(quick=True)
    page = tmp_path / "results.md"
    write_page(report.folder, page)
    begin, end = (x for x in page.read_text().splitlines() if "<!--" in x)
    mark = begin if lost == "begin" else end
    page.write_text(page.read_text().replace(mark, ""))
    before = page.read_text()
    command = ["benchmark", "speed", "--out", str(report.folder)]
    assert command_line.main([*command, "--page", str(page)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"in '{page}', once each" in line
    assert "Delete what is left of that section" in line
    assert page.read_text() == before


def test_an_unknown_part_is_refused_in_one_line(capsys):
    with pytest.raises(SystemExit) as exit_:
        command_line.main(["benchmark", "speed", "--only", "everything"])
    assert exit_.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
