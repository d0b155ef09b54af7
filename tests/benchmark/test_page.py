import dataclasses
import json

import pytest
from accuracy import write_page
from record import machine

from keras_otreg.benchmark.cells import Cell, write_cells
from keras_otreg.benchmark.comparison import quick


@pytest.fixture
def results(toy, tmp_path):
    """A comparison, and a folder with results that it might have."""
    short = dataclasses.replace(quick(toy), tasks=toy.tasks[1:])
    (task,) = short.tasks
    cells = [
        Cell(
            task.name,
            method.name,
            "report",
            seed,
            next(iter(method.strengths), None),
            None,
            short.key(task, method),
            0.5,
            0.125 * number + 0.0625 * seed,
        )
        for number, method in enumerate(short.methods_of(task))
        for seed in short.reported_seeds(task)
    ]
    folder = tmp_path / "out"
    folder.mkdir()
    write_cells(cells, folder / "cells.csv")
    about = {
        "command": "accuracy --data clothes --out '/my disk/out'",
        "pictures": "clothes, of two classes",
        **machine(),
    }
    (folder / "run.json").write_text(json.dumps(about), encoding="utf-8")
    return dataclasses.replace(short, tasks=toy.tasks), folder


def test_the_page_states_machine_versions_command_and_every_mean(
    results, tmp_path
):
    page = tmp_path / "pages" / "results.md"
    page.parent.mkdir()
    write_page(*results, page)
    text = page.read_text(encoding="utf-8")
    for part in ("cores", "keras 3", "Python 3", "python tests/benchmarks"):
        assert part in text
    assert "accuracy --data clothes --out DIR`" in text
    assert "\nPictures: clothes, of two classes.\n" in text
    assert "| plain |  | 0.500 | 0.031 ± 0.044 |  | -0.125 |" in text
    assert "| 0.156 ± 0.044 | +0.125 |" in text
    # Nothing was measured on the other task.
    assert "no results yet on toy." in text
    assert (page.parent / "img" / "accuracy.png").exists()


def test_what_else_a_page_says_stays_and_writing_twice_changes_nothing(
    results, tmp_path
):
    page = tmp_path / "results.md"
    page.write_text("# Results\n\nBefore.\n", encoding="utf-8")
    write_page(*results, page)
    page.write_text(page.read_text() + "\n## After\n", encoding="utf-8")
    first = page.read_text(encoding="utf-8")
    write_page(*results, page)
    assert page.read_text(encoding="utf-8") == first
    assert first.startswith("# Results\n\nBefore.\n")
    assert first.endswith("\n## After\n")


def test_no_page_is_written_without_results(toy, tmp_path):
    page = tmp_path / "results.md"
    with pytest.raises(OSError, match="no results"):
        write_page(toy, tmp_path, page)
    assert not page.exists()
