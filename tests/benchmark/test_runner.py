import dataclasses
import json
import shutil

import pytest
import small_tasks

from keras_otreg.benchmark import runner
from keras_otreg.benchmark.cells import Cell, Cells, read_cells, write_cells
from keras_otreg.benchmark.comparison import only, quick
from keras_otreg.benchmark.pictures import FolderTask
from keras_otreg.experiments import training


def timeless(path):
    return [dataclasses.replace(x, seconds=0.0) for x in read_cells(path)]


@pytest.fixture
def counted(monkeypatch):
    """Counts trainings."""
    done = []

    def train(*arguments, **options):
        done.append(arguments)
        return trained(*arguments, **options)

    trained = training.train
    monkeypatch.setattr(training, "train", train)
    return done


@pytest.mark.slow
def test_a_killed_run_resumes_and_ends_with_the_same_table(
    toy, tmp_path, console, counted, monkeypatch
):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir(), killed.mkdir()
    toy = only(toy, "narrow")
    runner.run(toy, whole, None, console)
    # 2 seeds for each of 2 methods, and a trial for each of 2 strengths.
    assert len(counted) == 6
    # Sums of several threads differ in their last bits between trainings.
    for teacher in whole.glob("*.keras"):
        shutil.copy(teacher, killed)

    add, left = Cells.add, iter(range(4))

    def add_some(self, cell):
        add(self, cell)
        if next(left) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Cells, "add", add_some)
    with pytest.raises(KeyboardInterrupt):
        runner.run(toy, killed, None, console)
    monkeypatch.setattr(Cells, "add", add)
    counted.clear()
    runner.run(toy, killed, None, console)
    assert len(counted) == 2
    assert timeless(killed / "cells.csv") == timeless(whole / "cells.csv")
    tables = [(x / "table.md").read_text() for x in (killed, whole)]
    assert tables[0] == tables[1]


@pytest.mark.slow
def test_trials_see_no_test_data_and_the_best_of_them_is_reported_once(
    toy, tmp_path, console, counted
):
    toy = only(toy, "narrow")
    runner.run(toy, tmp_path, None, console)
    cells = read_cells(tmp_path / "cells.csv")
    trials = [x for x in cells if x.phase == "trial"]
    reports = [x for x in cells if x.method == "uniform plan"][len(trials) :]
    assert len(trials) == len(reports) == 2
    assert all(cell.test is None for cell in trials)
    assert all(cell.test is not None for cell in reports)
    best = max(trials, key=lambda cell: cell.validation)
    assert {cell.strength for cell in reports} == {best.strength}
    # What is finished is not done again.
    before = (tmp_path / "cells.csv").read_bytes()
    counted.clear()
    runner.run(toy, tmp_path, None, console)
    assert not counted
    assert (tmp_path / "cells.csv").read_bytes() == before


def test_tasks_without_data_are_skipped_and_said_so(
    toy, tmp_path, console, monkeypatch
):
    def no_data(name):
        raise ImportError("no digits are installed")

    monkeypatch.setattr(small_tasks, "_data", no_data)
    tasks = (FolderTask("photos", labels=1), *toy.tasks)
    toy = dataclasses.replace(toy, tasks=tasks)
    runner.run(toy, tmp_path, None, console)
    text = console.file.getvalue()
    assert "Skipped photos" in text
    assert "--data FOLDER" in text
    assert "Skipped toy: no digits are installed" in text


@pytest.mark.release
def test_the_table_has_a_row_for_each_method_and_names_its_files(
    toy, tmp_path, console
):
    toy = only(quick(toy), "toy")
    runner.run(toy, tmp_path, None, console)
    text = console.file.getvalue()
    for method in toy.methods:
        assert f"| {method.name} |" in text
    for name in ("cells.csv", "table.md", "gains.png"):
        assert name in text
        assert (tmp_path / name).exists()


CELL = Cell(
    *("task", "method", "report", 0, None, 1e-3, "key", 0.5, 0.25, 0.125, 1.5)
)


def test_cells_come_back_from_the_disk_as_they_were(tmp_path):
    other = dataclasses.replace(CELL, seed=1, strength=0.1, test=0.0)
    write_cells([CELL, other], tmp_path / "cells.csv")
    assert read_cells(tmp_path / "cells.csv") == [CELL, other]


GOOD = "task,method,report,0,,0.001,key,0.5,0.25,0.125,1.5\r\n"
TITLES = (
    "task,method,phase,seed,strength,rate,key,validation,test,balanced,"
    "seconds\r\n"
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00\x01garbage",
        "garbage\n",
        "task,method,seed\nx,y,0\n",
        TITLES + GOOD.replace(",key", ""),
        TITLES + GOOD.replace("1.5", "1.5,2"),
        TITLES + GOOD.replace(",0,", ",zero,"),
        TITLES + GOOD.replace("0.25", ""),
        TITLES + GOOD.replace("0.5", ""),
        TITLES + GOOD.replace("report", "party"),
        TITLES.replace("seconds", "seconds,more") + GOOD,
        TITLES + GOOD[:20] + "\n" + GOOD,
    ],
)
def test_a_table_that_is_none_is_named_and_left_as_it_is(text, tmp_path):
    path = tmp_path / "cells.csv"
    path.write_bytes(text.encode())
    with pytest.raises(ValueError, match="--out") as error:
        Cells(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == text.encode()


def test_more_labels_than_there_are_is_said_after_the_table(
    toy, tmp_path, console, monkeypatch
):
    greedy = dataclasses.replace(toy.tasks[0], name="greedy", labels=99)
    toy = dataclasses.replace(toy, tasks=(greedy, *toy.tasks[1:]))
    measured = []

    def measure(comparison, task, method, cells, trainings, advance):
        measured.append((trainings(), method.name))

    monkeypatch.setattr(runner, "measure", measure)
    with pytest.raises(ValueError, match="greedy: labels.*class.* 4") as error:
        runner.run(toy, tmp_path, None, console)
    assert "\n" not in str(error.value)
    assert "Skipped greedy" in console.file.getvalue()
    assert [name for _, name in measured] == ["plain", "uniform plan"]


@pytest.mark.release
def test_rates_and_strengths_are_searched_in_as_many_trials(
    toy, tmp_path, console
):
    toy = only(toy, "toy")
    runner.run(toy, tmp_path, None, console)
    cells = read_cells(tmp_path / "cells.csv")
    assert len(cells) == toy.trainings(toy.tasks[0])
    trials = [x for x in cells if x.phase == "trial"]
    counts = {x: [y.method for y in trials].count(x) for x in ("plain",)}
    for method in ("uniform plan", "identity plan"):
        tried = [x for x in trials if x.method == method]
        assert len(tried) == counts["plain"] == toy.trials
        assert len({(x.rate, x.strength) for x in tried}) == len(tried)
        best = max(tried, key=lambda x: x.validation)
        (rate,) = {
            x.rate for x in cells if x.method == method and x.phase == "report"
        }
        assert rate == best.rate
    (head,) = {x.rate for x in cells if x.method == "head only"}
    assert head is None
    assert all(x.balanced is not None for x in cells if x.phase == "report")


def test_columns_of_earlier_versions_are_passed_over(tmp_path):
    path = tmp_path / "cells.csv"
    titles = TITLES.replace(",balanced", ",entropy,balanced")
    path.write_text(titles + GOOD.replace("0.25", "0.25,0.5"))
    assert read_cells(path) == [CELL]


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "cells.csv"
    write_cells([CELL], path)
    with pytest.raises(TypeError):
        write_cells([CELL, "no cell"], path)
    assert read_cells(path) == [CELL]


def test_results_of_other_pictures_are_refused(toy, tmp_path, console):
    folder, photos = tmp_path / "out", FolderTask("photos", labels=1)
    none = dataclasses.replace(toy, tasks=(photos,), methods=())
    folder.mkdir()
    for name in ("here", "there"):
        path = tmp_path / name / "train" / "hat" / f"{name}.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"1")
        for part in ("validation", "test"):
            (tmp_path / name / part).mkdir()
    for _ in range(2):
        runner.run(none, folder, tmp_path / "here", console)
    about = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**about, "notes": "mine"}))
    with pytest.raises(ValueError, match="another --out"):
        runner.run(none, folder, tmp_path / "there", console)
    runner.run(none, folder, tmp_path / "here", console)
    assert json.loads((folder / "run.json").read_text())["notes"] == "mine"


@pytest.mark.parametrize("damage", ["{", "[1]", ""])
def test_a_damaged_account_of_the_results_is_named(
    toy, tmp_path, console, damage
):
    none = dataclasses.replace(only(toy, "narrow"), tasks=())
    (tmp_path / "run.json").write_text(damage)
    with pytest.raises(ValueError, match="run.json'.*damaged.*another --out"):
        runner.run(none, tmp_path, None, console)
    assert (tmp_path / "run.json").read_text() == damage


def test_a_cell_is_as_it_is_read_again(tmp_path):
    cell = Cell("a", "b", "trial", 0, 1 / 3, 1 / 9, "key", 200 / 341)
    write_cells([cell], tmp_path / "cells.csv")
    assert read_cells(tmp_path / "cells.csv") == [cell]
