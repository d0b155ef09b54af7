import numpy as np
import pytest

from keras_otreg.data.splits import divide, fewer

LABELS = np.repeat([2, 0, 1], [40, 20, 10])


def counts(rows):
    return np.bincount(LABELS[rows], minlength=3).tolist()


def unread():
    pytest.fail("labels are read only where something has to be drawn")


def test_a_set_with_three_splits_is_taken_as_it_is():
    parts = divide(["train", "validation", "test", "extra"], unread)
    assert list(parts) == ["train", "validation", "test"]
    assert all(part == (name, None) for name, part in parts.items())


@pytest.mark.parametrize("held_out", ["test", "validation"])
def test_what_is_held_out_is_for_testing(held_out):
    parts = divide(["train", held_out], lambda: LABELS)
    assert parts["test"] == (held_out, None)
    assert counts(parts["validation"][1]) == [2, 1, 4]
    assert counts(parts["train"][1]) == [18, 9, 36]


def test_a_set_without_held_out_splits_is_divided():
    parts = divide(["train"], lambda: LABELS)
    assert {split for split, _ in parts.values()} == {"train"}
    assert counts(parts["test"][1]) == [4, 2, 8]
    assert counts(parts["validation"][1]) == [2, 1, 3]
    rows = np.concatenate([rows for _, rows in parts.values()])
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(LABELS)))


def test_a_division_is_always_the_same_and_not_by_order():
    first, second = (divide(["train"], lambda: LABELS) for _ in range(2))
    for name, (_, rows) in first.items():
        np.testing.assert_array_equal(rows, second[name][1])
    _, rows = first["test"]
    assert np.any(np.diff(rows[LABELS[rows] == 2]) != 1)


def test_the_only_picture_of_a_class_stays_for_training():
    parts = divide(["train"], lambda: np.array([0, 0, 0, 1]))
    assert 3 in parts["train"][1]


def test_fewer_are_as_many_of_each_class_or_as_large_a_share():
    assert counts(fewer(None, LABELS, 5, None, 0)) == [5, 5, 5]
    assert counts(fewer(None, LABELS, None, 0.25, 0)) == [5, 2, 10]
    assert counts(fewer(None, LABELS, None, 0.01, 0)) == [1, 1, 1]
    assert counts(fewer(None, LABELS, None, 1.0, 0)) == [20, 10, 40]
    rows = np.arange(0, 70, 2)
    assert set(fewer(rows, LABELS, 5, None, 0)) <= set(rows)


def test_a_seed_says_which():
    draws = [fewer(None, LABELS, 3, None, seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def test_a_class_cannot_give_more_than_it_has():
    with pytest.raises(ValueError, match=r"`shots`.*class, 10 of 1.*shots=11"):
        fewer(None, LABELS, 11, None, 0)
