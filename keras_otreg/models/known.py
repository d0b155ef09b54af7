"""Which teacher it was whose activations data sets carry."""

from collections.abc import Iterable
from typing import Any

from keras_otreg import checks
from keras_otreg.models.frozen import FrozenNetwork

# Of data sets, until they are mapped to others.
ATTRIBUTE = "keras_otreg_teacher"


def remember_teacher(
    dataset: Any, teacher: FrozenNetwork, at: list[str]
) -> None:
    """Notes on a data set which teacher it knows, at which layers."""
    known = teacher.fingerprint(at), teacher.precision(at), at
    setattr(dataset, ATTRIBUTE, known)


def check_teacher(teacher: FrozenNetwork, data: Iterable[Any]) -> None:
    """Raises if a data set knows another teacher than a model has.

    Args:
        teacher: That of the model.
        data: What its `fit` or `evaluate` is given.
    """
    for dataset in data if teacher.model is not None else ():
        if known := getattr(dataset, ATTRIBUTE, None):
            name, precision, at = known
            checks.known_teacher(name, teacher.fingerprint(at), at)
            checks.known_precision(precision, teacher.precision(at), at)
