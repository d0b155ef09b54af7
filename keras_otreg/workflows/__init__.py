"""The work of the command line, in Python."""

from keras_otreg import starting

if not starting.is_program("keras_otreg"):
    # The command line reads its options before it loads Keras.
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
