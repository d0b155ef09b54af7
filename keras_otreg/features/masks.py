"""Keras masks: which steps of a sequence are padding."""

from collections.abc import Callable
from typing import Any

import keras


def with_mask_of(
    source: Any, tensor: Any, change: Callable[[Any], Any] = lambda mask: mask
) -> Any:
    """Give a tensor the Keras mask of its source, if it has one, changed.

    Operations lose the mask by which losses leave steps out.
    """

    def mask_of(_, masks):
        found = [mask for mask in keras.tree.flatten(masks) if mask is not None]
        return change(masks) if found else None

    # A layer is the public way to read and to attach masks. A name of its own
    # leaves those of the user's layers alone.
    layer = keras.layers.Lambda(
        lambda _: tensor, mask=mask_of, name="with_mask", autocast=False
    )
    return layer(source)
