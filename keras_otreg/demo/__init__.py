"""The demos: transfer to digits, from another scanner or from letters."""

from keras_otreg.demo.runner import run, run_joint
from keras_otreg.demo.task import (
    Task,
    digits,
    joint,
    letters_and_digits,
    quick,
)
from keras_otreg.experiments.settings import Settings

__all__ = [
    "Settings",
    "Task",
    "digits",
    "joint",
    "letters_and_digits",
    "quick",
    "run",
    "run_joint",
]
