"""The page of results says what the tables in the repository say."""

import pathlib
import re
import shutil

import pytest

from keras_otreg import __main__ as command_line

DOCS = pathlib.Path(__file__).parents[2] / "docs"
PAGE = DOCS / "pages" / "results.md"


def written_anew(name, folder):
    """The lines of the page once a section of it is written again."""
    page = folder / "results.md"
    shutil.copy(PAGE, page)
    out = str(DOCS / "results" / name)
    arguments = ["benchmark", name, "--out", out, "--page", str(page)]
    assert command_line.main(arguments) == 0
    return page.read_text().splitlines()


def test_the_section_on_speed_is_that_of_its_tables(tmp_path):
    assert written_anew("speed", tmp_path) == PAGE.read_text().splitlines()


def test_the_tables_on_accuracy_are_those_of_the_cells(tmp_path):
    pytest.importorskip("scipy")

    def rows(lines):
        # Other versions of SciPy may draw other samples for the intervals.
        tables = lines[: lines.index("### All tasks")]
        rows = [line for line in tables if line.startswith("| ")]
        return [re.sub(r"\[.*?\]", "", row) for row in rows]

    anew = rows(written_anew("accuracy", tmp_path))
    assert anew == rows(PAGE.read_text().splitlines())
    assert any(row.startswith("| transport everywhere |") for row in anew)
