import numpy as np
import pytest

from keras_otreg.workflows.results import (
    compared,
    comparison,
    confusion,
    score,
    surest,
)

scipy_stats = pytest.importorskip("scipy.stats")


def certain(classes, count=3):
    return np.eye(count)[classes]


def test_the_comparison_is_mcnemars_exact_test(rng):
    labels = rng.integers(0, 3, size=60)
    first, second = (
        np.where(rng.random(60) < share, labels, (labels + 1) % 3)
        for share in (0.8, 0.5)
    )
    found = compared(certain(first), certain(second), labels)
    assert found.correct == (first == labels).sum()
    expected = scipy_stats.binomtest(found.only[0], sum(found.only))
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.verdict == ("better" if found.p_value <= 0.05 else "open")


def test_networks_that_agree_are_not_told_apart():
    labels = np.array([0, 1, 2])
    found = compared(certain(labels), certain(labels), labels)
    assert (found.p_value, found.verdict) == (1.0, "open")
    assert "the same ones" in comparison(found, "one", "other")


def test_a_clear_difference_is_said_to_be_one():
    labels = np.zeros(20, int)
    found = compared(certain(labels), certain(labels + 1), labels)
    assert found.verdict == "better"
    assert "better by more than chance" in comparison(found, "one", "other")
    found = compared(certain(labels + 1), certain(labels), labels)
    assert "worse by more than chance" in comparison(found, "one", "other")


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
    labels = np.zeros(4000, int)
    odd = np.arange(4000) % 2
    found = compared(certain(odd), certain(1 - odd), labels)
    assert found.p_value == 1.0
    found = compared(certain(labels), certain(labels + 1), labels)
    assert found.p_value == 0.0


def test_of_equal_accuracies_the_lower_cross_entropy_is_the_better_score():
    labels = np.array([0, 1])
    sure = score(np.array([[0.9, 0.1], [0.6, 0.4]]), labels)
    unsure = score(np.array([[0.6, 0.4], [0.6, 0.4]]), labels)
    wrong = score(np.array([[0.0, 1.0], [1.0, 0.0]]), labels)
    assert sure > unsure > wrong
    assert sure == (0.5, pytest.approx((np.log(0.9) + np.log(0.4)) / 2))
    assert np.isfinite(wrong).all()
