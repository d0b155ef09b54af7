"""Transfer learning in Keras, regularised by optimal transport."""

from keras_otreg import ot

__version__ = "0.1.0"

__all__ = ["__version__", "ot"]
