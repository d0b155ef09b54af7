"""Whether a long training holds on to memory, threads or files."""

from keras_otreg.benchmark.soak.life import KINDS, Kind
from keras_otreg.benchmark.soak.page import write_page
from keras_otreg.benchmark.soak.runner import run

__all__ = ["KINDS", "Kind", "run", "write_page"]
