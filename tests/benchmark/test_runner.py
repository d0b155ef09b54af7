import dataclasses

import pytest

from keras_otreg.benchmark import accuracy
from keras_otreg.benchmark.accuracy import measuring, small
from keras_otreg.benchmark.accuracy.cells import (
    Cell,
    Cells,
    read_cells,
    write_cells,
)
from keras_otreg.benchmark.accuracy.entries import FolderTask


def timeless(path):
    return [dataclasses.replace(x, seconds=0.0) for x in read_cells(path)]


@pytest.fixture
def counted(monkeypatch):
    """Counts trainings."""
    done = []

    def train(*arguments):
        done.append(arguments)
        return trained(*arguments)

    trained = measuring.train
    monkeypatch.setattr(measuring, "train", train)
    return done


def test_a_killed_run_resumes_and_ends_with_the_same_table(
    toy, tmp_path, console, counted, monkeypatch
):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir(), killed.mkdir()
    toy = accuracy.only(toy, "narrow")
    accuracy.run(toy, whole, None, console)
    # 2 seeds for each of 2 methods, and a trial for each of 2 strengths.
    assert len(counted) == 6

    add, left = Cells.add, iter(range(4))

    def add_some(self, cell):
        add(self, cell)
        if next(left) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Cells, "add", add_some)
    with pytest.raises(KeyboardInterrupt):
        accuracy.run(toy, killed, None, console)
    monkeypatch.setattr(Cells, "add", add)
    counted.clear()
    accuracy.run(toy, killed, None, console)
    assert len(counted) == 2
    assert timeless(killed / "cells.csv") == timeless(whole / "cells.csv")
    tables = [(x / "table.md").read_text() for x in (killed, whole)]
    assert tables[0] == tables[1]


def test_what_is_finished_is_not_done_again(toy, tmp_path, console, counted):
    toy = accuracy.only(toy, "narrow")
    accuracy.run(toy, tmp_path, None, console)
    before = (tmp_path / "cells.csv").read_bytes()
    counted.clear()
    accuracy.run(toy, tmp_path, None, console)
    assert not counted
    assert (tmp_path / "cells.csv").read_bytes() == before


def test_trials_see_no_test_data_and_the_best_of_them_is_reported(
    toy, tmp_path, console
):
    toy = accuracy.only(toy, "narrow")
    accuracy.run(toy, tmp_path, None, console)
    cells = read_cells(tmp_path / "cells.csv")
    trials = [x for x in cells if x.phase == "trial"]
    reports = [x for x in cells if x.method == "uniform plan"][len(trials) :]
    assert len(trials) == len(reports) == 2
    assert all(cell.test is None for cell in trials)
    assert all(cell.test is not None for cell in reports)
    best = max(trials, key=lambda cell: cell.validation)
    assert {cell.strength for cell in reports} == {best.strength}
    assert all(0.0 <= cell.entropy <= 1.0 for cell in reports)


def test_tasks_without_data_are_skipped_and_said_so(
    toy, tmp_path, console, monkeypatch
):
    def no_data(name):
        raise ImportError("no digits are installed")

    monkeypatch.setattr(small, "_data", no_data)
    tasks = (FolderTask("photos", labels=1), *toy.tasks)
    toy = dataclasses.replace(toy, tasks=tasks)
    accuracy.run(toy, tmp_path, None, console)
    text = console.file.getvalue()
    assert "Skipped photos" in text
    assert "--data FOLDER" in text
    assert "Skipped toy: no digits are installed" in text


def test_the_table_has_a_row_for_each_method_and_names_its_files(
    toy, tmp_path, console
):
    toy = accuracy.only(accuracy.quick(toy), "toy")
    accuracy.run(toy, tmp_path, None, console)
    text = console.file.getvalue()
    for method in toy.methods:
        assert f"| {method.name} |" in text
    for name in ("cells.csv", "table.md", "gains.png"):
        assert name in text
        assert (tmp_path / name).exists()


CELL = Cell("task", "method", "report", 0, None, "key", 0.5, 0.25, seconds=1.5)


def test_cells_come_back_from_the_disk_as_they_were(tmp_path):
    other = dataclasses.replace(CELL, seed=1, strength=0.1, test=0.0)
    write_cells([CELL, other], tmp_path / "cells.csv")
    assert read_cells(tmp_path / "cells.csv") == [CELL, other]


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "cells.csv"
    write_cells([CELL], path)
    with pytest.raises(AttributeError):
        write_cells([CELL, "no cell"], path)
    assert read_cells(path) == [CELL]
