"""What a distributed step costs, simulated from what one replica does."""

from keras_otreg.benchmark.scaling.page import write_page
from keras_otreg.benchmark.scaling.runner import run
from keras_otreg.benchmark.scaling.simulation import Network

__all__ = ["Network", "run", "write_page"]
