"""Settings and names of methods, which are read before Keras is loaded."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

# Titles of methods of fine-tuning, by their names in commands.
TITLES = {
    "transport": "transport",
    "alignment": "transport alignment",
    "l2-sp": "L2-SP",
    "neuron-transport": "transport of weights",
    "cka": "CKA",
    "hint": "hints",
    "mmd": "MMD",
    "coral": "CORAL",
    "attention": "attention transfer",
    "bss": "BSS",
}
# Plain fine-tuning, by its name in commands.
NONE = "none"
# Distances of the methods that pull weights to their start, at no layer.
DISTANCES = {"l2-sp": "l2", "neuron-transport": "transport"}
# For each format of a command, that of Keras and the end of the file's name.
FORMATS = {
    "saved-model": ("tf_saved_model", ""),
    "tflite": ("litert", ".tflite"),
    "onnx": ("onnx", ".onnx"),
}
# Defaults of a command that are not those of `Settings`.
DEFAULTS: dict[str, dict[str, Any]] = {
    # From a solved head, smaller rates are better than from a random one.
    "finetune": {"learning_rate": 1e-4},
    "joint": {"learning_rate": 1e-4},
    "tune": {"epochs": 5, "learning_rate": 1e-4},
    "compress": {"epochs": 60, "patience": 20, "learning_rate": 1e-3},
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of `finetune`, `tune`, `compress` and `joint`.

    The functions take them by name, such as `finetune(data, epochs=10)`. Other
    defaults: a `learning_rate` of 0.0001 in `finetune`, `joint` and `tune`, 5
    `epochs` in `tune`; in `compress` 60 epochs, a patience of 20, a rate of
    0.001.

    Attributes:
        out: The output folder, which is made if need be; `"otreg-finetune"`,
            or `"otreg-"` and the name of the other function, by default.
        shots: Pictures of each class to train on; all if `None`.
        image_size: Height and width of pictures where a network takes any.
        epochs: Passes over the pictures, at most.
        patience: Epochs without progress in validation that end a training.
        batch_size: Pictures in a batch.
        learning_rate: Of Adam.
        seed: Of all random numbers.
        quiet: Whether to print nothing.

    Raises:
        TypeError: If there is no setting of that name.
    """

    out: str | os.PathLike[str] = "otreg-finetune"
    shots: int | None = None
    image_size: int = 160
    epochs: int = 20
    patience: int = 8
    batch_size: int = 32
    learning_rate: float = 3e-4
    seed: int = 0
    quiet: bool = False

    @classmethod
    def of(cls, command: str, given: Mapping[str, Any]) -> "Settings":
        """Settings of a command: what is given, else its defaults."""
        defaults = {"out": f"otreg-{command}", **DEFAULTS.get(command, {})}
        return cls(**{**defaults, **given})

    @property
    def folder(self) -> pathlib.Path:
        """Path of the output folder."""
        return pathlib.Path(self.out)
