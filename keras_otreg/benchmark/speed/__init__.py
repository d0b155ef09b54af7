"""Speed, memory and start-up, beside other libraries in one run."""

from keras_otreg.benchmark.speed.page import write_page
from keras_otreg.benchmark.speed.runner import PARTS, run

__all__ = ["PARTS", "run", "write_page"]
