"""Costs between the classes of two tasks: NumPy in, NumPy out."""

from keras_otreg.class_costs.extract import extract
from keras_otreg.class_costs.from_features import (
    bures,
    centroid,
    cosine,
    mkmmd,
    transport,
)
from keras_otreg.class_costs.from_predictions import (
    conditional,
    from_conditional,
)
from keras_otreg.class_costs.knowledge import (
    from_embeddings,
    from_names,
    random,
)
from keras_otreg.class_costs.relevance import shares
from keras_otreg.class_costs.scaling import normalise, sharpen

__all__ = [
    "bures",
    "centroid",
    "conditional",
    "cosine",
    "extract",
    "from_conditional",
    "from_embeddings",
    "from_names",
    "mkmmd",
    "normalise",
    "random",
    "shares",
    "sharpen",
    "transport",
]
