"""How results are kept and shown."""

import importlib.util
import pathlib
import re
import shutil

import pytest
import rich.console
from results import Claim, Results, Row, interleaved, row, tables

HERE = pathlib.Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
FOUND = [
    row("growth", on="256", by="ours", time=0.0042, error=3e-7),
    row("growth", on="512", by="ours", time=2.5, gap=-1e-6, **{"": "missed"}),
    Claim("faster", "3 times", True),
    Claim("smaller", "twice", False),
]


@pytest.fixture(scope="module")
def command():
    """What `python tests/benchmarks` runs."""
    spec = importlib.util.spec_from_file_location(
        "benchmarks_main", HERE / "__main__.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_a_table_has_the_columns_of_all_its_lines_and_words_for_each():
    ((head, lines),) = tables(x for x in FOUND if isinstance(x, Row)).values()
    assert head == ["on", "by", "time", "error", "gap", ""]
    assert lines[0] == ["256", "ours", "4.2 ms", "3.0e-07", "", ""]
    assert lines[1] == ["512", "ours", "2.5 s", "", "1.0e-06", "missed"]


def test_one_part_leaves_what_the_others_measured(tmp_path):
    Results(tmp_path).put("first", FOUND)
    Results(tmp_path).put("second", FOUND[:1])
    Results(tmp_path).put("first", FOUND[1:3])
    again = Results(tmp_path)
    assert again.rows("first") == FOUND[1:2]
    assert again.rows("second") == FOUND[:1]
    assert again.claims == FOUND[2:3]
    assert "tensorflow" in again.parts["first"]["machine"]
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_the_screen_shows_every_line_and_what_is_not_met(tmp_path):
    results = Results(tmp_path)
    results.put("first", FOUND)
    console = rich.console.Console(width=120, record=True)
    results.show(console)
    shown = console.export_text()
    for words in ("4.2 ms", "missed", "not met", "results.json"):
        assert words in shown


def test_a_section_of_a_page_is_replaced_and_the_rest_stays(tmp_path):
    results, page = Results(tmp_path), tmp_path / "page.md"
    page.write_text("# Results\n\nBefore.\n")
    results.put("first", FOUND)
    for _ in range(2):
        results.write_page(page, "speed", ["## Speed"])
    text = page.read_text()
    assert text.startswith("# Results\n\nBefore.")
    assert text.count("## Speed") == 1
    assert "| **not met** | smaller | twice |" in text


def test_without_results_there_is_no_page(tmp_path):
    page = tmp_path / "page.md"
    with pytest.raises(OSError, match="no results"):
        Results(tmp_path).write_page(page, "speed", [])
    assert not page.exists()


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        ("labelling", "results_labels.md"),
        ("speed", "results_speed.md"),
        ("soak", "results_long_trainings.md"),
        ("scaling", "scaling_out.md"),
        ("joint", "joint_transfer.md"),
        ("narrowing", "narrow.md"),
    ],
)
def test_the_pages_say_what_the_tables_in_the_repository_say(
    kind, page, tmp_path, command
):
    if kind == "narrowing":
        pytest.importorskip("torch")
    anew = tmp_path / page
    shutil.copy(DOCS / "pages" / page, anew)
    out = DOCS / "results" / kind
    command.main([kind, "--out", str(out), "--page", str(anew)])
    assert anew.read_text() == (DOCS / "pages" / page).read_text()


def test_the_words_on_joint_transfer_have_the_numbers_of_its_tables():
    text = (DOCS / "pages" / "joint_transfer.md").read_text()
    words, tables = text.split("<!-- joint: written by")
    numbers = re.findall(r"[+-]0\.\d{3}(?: \[.*?\])?", words)
    assert len(numbers) > 5
    for number in numbers:
        assert number in tables, number


def test_a_part_that_is_not_known_is_refused(tmp_path, command, capsys):
    arguments = ["soak", "--only", "everything", "--out", str(tmp_path)]
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert "everything" in capsys.readouterr().err


@pytest.mark.release
def test_a_part_is_measured_and_saved(tmp_path, command):
    arguments = ["speed", "--quick", "--only", "growth", "--out", str(tmp_path)]
    command.main(arguments)
    assert len(Results(tmp_path).rows("growth")) == 3
