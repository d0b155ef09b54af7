"""The demos: digits learnt from those of another scanner, or from letters."""

from keras_otreg.demo.joint import run_joint
from keras_otreg.demo.runner import run
from keras_otreg.demo.settings import Settings, joint, quick
from keras_otreg.demo.task import Task, digits, letters_and_digits

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
