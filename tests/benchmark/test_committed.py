"""The page of results says what the tables in the repository say."""

import pathlib
import re
import shutil

import accuracy
import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"
PAGES = DOCS / "pages"


def written_anew(folder):
    """The lines of the page on accuracy, as it is, and written again."""
    page = folder / "results_accuracy.md"
    before = (PAGES / page.name).read_text(encoding="utf-8").splitlines()
    shutil.copy(PAGES / page.name, page)
    results = DOCS / "results" / "accuracy"
    accuracy.write_page(accuracy.comparison(), results, page)
    return before, page.read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
def test_the_tables_on_accuracy_are_those_of_the_cells(tmp_path):
    pytest.importorskip("scipy")

    def rows(lines):
        # Other versions of SciPy may draw other samples for the intervals.
        tables = lines[: lines.index("### All tasks")]
        rows = [line for line in tables if line.startswith("| ")]
        return [re.sub(r"\[.*?\]", "", row) for row in rows]

    before, anew = map(rows, written_anew(tmp_path))
    assert anew == before
    assert any(row.startswith("| head only |") for row in anew)


@pytest.mark.parametrize(
    "summary",
    [
        "README.md",
        *(f"docs/pages/{x}.md" for x in ("results", "how_to_choose", "index")),
    ],
)
def test_the_numbers_of_a_page_are_those_of_the_tables(summary):
    text = (DOCS.parent / summary).read_text(encoding="utf-8")
    # What a program sets is no result.
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    pages = [*PAGES.glob("results_*.md"), PAGES / "narrow.md"]
    tables = "".join(path.read_text(encoding="utf-8") for path in pages)
    demo = (DOCS / "results" / "demo" / "table.csv").read_text(encoding="utf-8")
    rounded = {f"{float(x):.3f}" for x in re.findall(r"0\.\d{4}", demo)}
    gains = re.findall(r"[+-]0\.\d{3}(?: \[.*?\])?", text)
    times = re.findall(r"\d[\d.]* m?s\b", text)
    shares = set(re.findall(r"0\.\d{3}", text)) - rounded
    assert gains or summary.endswith("index.md")
    for number in (*gains, *times, *shares):
        assert number in tables, number


def test_the_intervals_of_concepts_are_those_of_the_tables():
    text = (PAGES / "concepts.md").read_text(encoding="utf-8")
    tables = (PAGES / "results_accuracy.md").read_text(encoding="utf-8")
    gains = re.findall(r"[+-]0\.\d{3}", text)
    assert gains
    for number in gains:
        assert f"| {number} [" in tables, number
