"""The batch that a monitor looks at."""

from typing import Any

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.features.batches import batches


def first_batch(probe: Any) -> tuple[Any, ...]:
    """A batch as `fit` would see it, in arrays, which can be copied.

    Args:
        probe: `(x, y)` or `(x, y, sample_weight)` of arrays, or any data set
            of such batches, of which the first is taken.

    Returns:
        A tuple of structures of arrays.
    """
    is_batch = isinstance(probe, (tuple, list))
    if not is_batch:
        iterable = checks.data_set(probe, "probe")
        probe = next(iter(batches(iterable)), None)
    return keras.tree.map_structure(_array, checks.one_batch(probe, "probe"))


def _array(values):
    if values is None:
        return None
    array = np.asarray(values)
    # As Keras does with the arrays that `fit` is given.
    is_double = array.dtype == "float64"
    return array.astype(keras.config.floatx()) if is_double else array
