"""Comparison of methods of learning from few labels, by one protocol."""

from keras_otreg.benchmark.accuracy.comparison import (
    Comparison,
    only,
    quick,
)
from keras_otreg.benchmark.accuracy.reading import PACKAGED, read
from keras_otreg.benchmark.accuracy.report import write_page
from keras_otreg.benchmark.accuracy.runner import run

__all__ = [
    "PACKAGED",
    "Comparison",
    "only",
    "quick",
    "read",
    "run",
    "write_page",
]
