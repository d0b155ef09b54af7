"""The work of the command line, in Python."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_otreg.workflows.classification import (
        Evaluation,
        evaluate,
        export,
        predict,
    )
    from keras_otreg.workflows.comparison import Similarity, compare
    from keras_otreg.workflows.compression import compress
    from keras_otreg.workflows.finetuning import finetune, tune
    from keras_otreg.workflows.joint_transfer import joint
    from keras_otreg.workflows.results import Result
    from keras_otreg.workflows.settings import Settings

__all__ = [
    "Evaluation",
    "Result",
    "Settings",
    "Similarity",
    "compare",
    "compress",
    "evaluate",
    "export",
    "finetune",
    "joint",
    "predict",
    "tune",
]
_MODULES = {
    "Evaluation": "classification",
    "Result": "results",
    "Settings": "settings",
    "Similarity": "comparison",
    "compare": "comparison",
    "compress": "compression",
    "evaluate": "classification",
    "export": "classification",
    "finetune": "finetuning",
    "joint": "joint_transfer",
    "predict": "classification",
    "tune": "finetuning",
}


def __getattr__(name: str) -> Any:
    # The command line reads its options before it loads Keras.
    if name not in _MODULES:
        raise AttributeError(
            f"module 'keras_otreg.workflows' has no attribute {name!r}"
        )
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)
