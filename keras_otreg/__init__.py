"""Transfer learning in Keras, regularised by optimal transport."""

import importlib

from keras_otreg import starting

if not starting.is_program(__name__):
    # The command line reads its options before it loads Keras.
    from keras_otreg import (
        callbacks,
        class_costs,
        compression,
        features,
        labelling,
        layers,
        losses,
        models,
        ot,
        plots,
        regularizers,
    )
    from keras_otreg.compression import inherit, narrow
    from keras_otreg.heads import solve_head
    from keras_otreg.interpolation import between
    from keras_otreg.models import (
        Penalty,
        SourceTask,
        TransferModel,
        WeightPenalty,
        load_model,
    )
    from keras_otreg.regularizers import add_starting_point

__version__ = "0.1.0"

__all__ = [
    "Penalty",
    "SourceTask",
    "TransferModel",
    "WeightPenalty",
    "__version__",
    "add_starting_point",
    "between",
    "callbacks",
    "class_costs",
    "compression",
    "data",
    "features",
    "inherit",
    "labelling",
    "layers",
    "load_model",
    "losses",
    "models",
    "narrow",
    "ot",
    "plots",
    "regularizers",
    "solve_head",
    "tuning",
    "workflows",
]


def __getattr__(name: str):
    # The data need TensorFlow, the search KerasTuner, and the work of the
    # commands both; the rest runs on every backend of Keras alone.
    if name in ("data", "tuning", "workflows"):
        return importlib.import_module(f"keras_otreg.{name}")
    raise AttributeError(f"module 'keras_otreg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
