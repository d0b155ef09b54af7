import numpy as np
import pytest

from keras_otreg.data import PictureFiles
from keras_otreg.workflows.results import (
    ReportData,
    confusion,
    p_value,
    score,
    surest,
)
from keras_otreg.workflows.stages import Trained

scipy_stats = pytest.importorskip("scipy.stats")


def certain(classes, count=3):
    return np.eye(count)[classes]


@pytest.mark.parametrize("only", [(0, 0), (1, 0), (3, 9), (14, 14), (30, 12)])
def test_the_comparison_is_mcnemars_exact_test(only):
    expected = 1.0
    if any(only):
        expected = scipy_stats.binomtest(only[0], sum(only)).pvalue
    assert p_value(*only) == pytest.approx(expected)


def compared(first, second, labels):
    """The sentence about two networks that predict these classes."""
    results = {
        title: Trained(None, predictions={"test": certain(classes)})
        for title, classes in (("one", first), ("other", second))
    }
    files = PictureFiles([], labels, [*"abc"])
    return ReportData(
        *(results, "one", "other", "one", {"test": files}, {}, "title", "lead")
    ).comparison()


def test_networks_that_agree_are_not_told_apart():
    labels = np.array([0, 1, 2])
    assert compared(labels, labels, labels).endswith("3: the same ones.")
    other = np.array([0, 1, 1])
    told = compared(labels, other, labels)
    assert "one classifies 3 correctly and other 2. They differ in 1" in told
    assert "the difference is within chance" in told


def test_a_clear_difference_is_said_to_be_one():
    labels = np.zeros(20, int)
    told = compared(labels, labels + 1, labels)
    assert "better by more than chance" in told
    told = compared(labels + 1, labels, labels)
    assert "worse by more than chance" in told


def test_confusion_counts_labels_in_rows():
    found = confusion(certain([0, 1, 1, 2]), np.array([0, 0, 1, 2]), 3)
    np.testing.assert_array_equal(found, [[1, 1, 0], [0, 1, 0], [0, 0, 1]])


def test_examples_are_the_surest_ones():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    labels = np.array([1, 1, 1, 0])
    found = surest(probabilities, labels, correct=False, most=1)
    assert found.tolist() == [0]


def test_right_examples_are_of_all_classes():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]])
    labels = np.array([0, 0, 1])
    found = surest(probabilities, labels, correct=True, most=2)
    assert found.tolist() == [0, 2]


def test_many_pictures_are_no_trouble():
    assert p_value(2000, 2000) == 1.0
    assert p_value(4000, 0) == 0.0


def test_of_equal_accuracies_the_lower_cross_entropy_is_the_better_score():
    labels = np.array([0, 1])
    sure = score(np.array([[0.9, 0.1], [0.6, 0.4]]), labels)
    unsure = score(np.array([[0.6, 0.4], [0.6, 0.4]]), labels)
    wrong = score(np.array([[0.0, 1.0], [1.0, 0.0]]), labels)
    assert sure > unsure > wrong
    assert sure == (0.5, pytest.approx((np.log(0.9) + np.log(0.4)) / 2))
    assert np.isfinite(wrong).all()
