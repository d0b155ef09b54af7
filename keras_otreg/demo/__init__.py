"""The demo: digits of one scanner, learnt from those of another."""

from keras_otreg.demo.runner import run
from keras_otreg.demo.settings import Settings, quick
from keras_otreg.demo.task import Task, digits

__all__ = ["Settings", "Task", "digits", "quick", "run"]
