"""Costs between the classes of two tasks: NumPy in, NumPy out."""

from keras_otreg.class_costs.extract import extract
from keras_otreg.class_costs.knowledge import (
    from_embeddings,
    from_names,
    random,
)
from keras_otreg.class_costs.mkmmd import mkmmd
from keras_otreg.class_costs.moments import bures, centroid, cosine
from keras_otreg.class_costs.scaling import normalise, sharpen
from keras_otreg.class_costs.transport import transport

__all__ = [
    "bures",
    "centroid",
    "cosine",
    "extract",
    "from_embeddings",
    "from_names",
    "mkmmd",
    "normalise",
    "random",
    "sharpen",
    "transport",
]
