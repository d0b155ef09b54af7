"""Stages and their choice, with trainings that are not real."""

import csv

import numpy as np
import pytest

from keras_otreg.data import PictureFiles
from keras_otreg.workflows.finetuning import search
from keras_otreg.workflows.methods import Method
from keras_otreg.workflows.project import Project
from keras_otreg.workflows.results import HEAD_ONLY, PLAIN
from keras_otreg.workflows.settings import Settings
from keras_otreg.workflows.stages import Run, Trained


class Bar:
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


class FakeProject(Project):
    """Trains a network to given probabilities, or to an error."""

    def __init__(self, folder, files, outcomes):
        parts = dict.fromkeys(("validation", "test"), files)
        shape = (4, 4, 3)
        super().__init__(Run(folder, {}), parts, shape, Settings(), Bar())
        self.outcomes, self.rates = list(outcomes), []

    def trained(self, title, start, wrap, learning_rate=None):
        wrap(start)
        self.rates.append(learning_rate)
        outcome = self.outcomes[len(self.rates) - 1]
        if outcome is None:
            raise FloatingPointError("NaN")
        return trained(start, outcome)


def trained(model, probabilities):
    """A network with these probabilities of the first class."""
    first = np.array(probabilities)
    predictions = np.stack([first, 1.0 - first], axis=1)
    return Trained(model, [{"epoch": 1}], 1, 0.0, {"validation": predictions})


def project(tmp_path, files, outcomes=()):
    return FakeProject(tmp_path, files, outcomes)


# The labels are 0, 1, 1.
GOOD, FAIR, SURE = [0.9, 0.4, 0.4], [0.9, 0.4, 0.6], [0.9, 0.1, 0.6]


@pytest.mark.parametrize("title", ["head", "plain", "method"])
def test_the_best_in_validation_is_chosen_whatever_its_stage(
    tmp_path, picture_files, title
):
    work = project(tmp_path, picture_files)
    others = dict.fromkeys(("head", "plain", "method"), trained(None, FAIR))
    assert work.best({**others, title: trained(None, GOOD)}) == title
    # As many pictures, but surer of them.
    assert work.best({**others, title: trained(None, SURE)}) == title


def of(correct):
    """A network that classifies some of 20 pictures of class 0 correctly."""
    return trained(None, [0.6] * correct + [0.4] * (20 - correct))


@pytest.mark.parametrize(("gained", "is_kept"), [(1, 0), (5, 0), (7, 1)])
def test_a_solved_head_stays_within_one_standard_error(
    tmp_path, picture_files, gained, is_kept
):
    paths = picture_files.paths[:1] * 20
    files = PictureFiles(paths, np.zeros(20, int), ["a", "b"])
    networks = {HEAD_ONLY: of(10), PLAIN: of(10 + gained)}
    # It loses 3 pictures: it is better by 7 - 3 > sqrt(7 + 3).
    networks[PLAIN].predictions["validation"][:3] = [0.4, 0.6]
    kept = project(tmp_path, files).kept(networks)
    assert kept == (PLAIN if is_kept else HEAD_ONLY)


def test_the_best_trial_is_kept_and_not_trained_again(
    tmp_path, picture_files, start
):
    work = project(tmp_path, picture_files, [FAIR, GOOD, None, FAIR])
    method = Method("l2-sp", {}, None)
    found, values = search(work, method, start, 4, rate=True)
    np.testing.assert_allclose(found.predictions["validation"][:, 0], GOOD)
    assert len(work.rates) == 4
    assert values["learning_rate"] == work.rates[1]
    assert len(set(work.rates)) == 4
    assert any("diverged" in line for line in work.bar.lines)
    assert work.bar.lines[-1].startswith("best trial: 2 (learning_rate ")
    with (tmp_path / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["2", "1", "4"]
    assert float(rows[0]["strength"]) == pytest.approx(values["strength"])


def test_a_search_goes_on_where_it_was_stopped(tmp_path, picture_files, start):
    method = Method("l2-sp", {}, None)
    first = project(tmp_path, picture_files, [FAIR, GOOD])
    _, values = search(first, method, start, 2)
    second = project(tmp_path, picture_files, [SURE])
    found, again = search(second, method, start, 3)
    assert len(second.rates) == 1
    assert again == values
    np.testing.assert_allclose(found.predictions["validation"][:, 0], GOOD)


def test_a_search_without_any_success_is_an_error(
    tmp_path, picture_files, start
):
    work = project(tmp_path, picture_files, [None, None])
    with pytest.raises(FloatingPointError, match="every trial diverged"):
        search(work, Method("l2-sp", {}, None), start, 2)
