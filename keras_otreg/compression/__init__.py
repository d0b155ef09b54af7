"""Small networks that start as copies of large ones."""

from keras_otreg.compression import channels
from keras_otreg.compression.budget import Budget
from keras_otreg.compression.heir import Fit
from keras_otreg.compression.inheriting import Inheritance, inherit
from keras_otreg.compression.narrowing import narrow
from keras_otreg.compression.summary import summary

__all__ = [
    "Budget",
    "Fit",
    "Inheritance",
    "channels",
    "inherit",
    "narrow",
    "summary",
]
