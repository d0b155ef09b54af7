"""Costs between the classes of two tasks: NumPy in, NumPy out."""

from keras_otreg.class_costs.from_features import (
    bures,
    centroid,
    cosine,
    extract,
    mkmmd,
    transport,
)
from keras_otreg.class_costs.relations import (
    conditional,
    from_conditional,
    from_embeddings,
    from_names,
    normalise,
    random,
    shares,
    sharpen,
)

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
