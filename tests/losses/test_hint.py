import numpy as np
import pytest

from keras_otreg.losses import Hint


def test_the_value_by_hand():
    teacher = np.array([[[1.0, 5.0], [2.0, 7.0]], [[0.0, 0.0], [0.0, 0.0]]])
    student = np.array([[[2.0, 8.0], [0.0, 7.0]], [[0.0, 0.0], [0.0, 2.0]]])
    each = Hint(reduction="none")(teacher, student)
    np.testing.assert_allclose(each, [(1 + 9 + 4 + 0) / 4, 4 / 4])
    np.testing.assert_allclose(Hint()(teacher, student), (3.5 + 1.0) / 2)


def test_unequal_maps_are_averaged_to_the_smaller(rng):
    teacher, student = (
        rng.normal(size=(5, 4, 6, 2)),
        rng.normal(size=(5, 2, 3, 2)),
    )
    pooled = teacher.reshape(5, 2, 2, 3, 2, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(
        Hint()(teacher, student), ((pooled - student) ** 2).mean(), rtol=1e-5
    )


def test_it_asks_for_an_adapter_only_between_unequal_widths():
    assert Hint().adapter((None, 4, 4, 6), (None, 2, 2, 6)) is None
    adapter = Hint().adapter((None, 4, 4, 6), (None, 4, 4, 3))
    assert adapter.compute_output_shape((5, 4, 4, 3)) == (5, 4, 4, 6)


def test_without_its_adapter_unequal_widths_are_refused():
    with pytest.raises(ValueError, match=r"\(7, 3\).*\(7, 4\).*TransferModel"):
        Hint()(np.ones((7, 3)), np.ones((7, 4)))
