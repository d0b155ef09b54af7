"""The data of a transfer: a source, and a target with few labels."""

import dataclasses

from keras_otreg.data import (
    Labelled,
    few_shot,
    letters,
    mnist5k,
    optdigits,
)


@dataclasses.dataclass(frozen=True)
class Task:
    """Labelled images of a source and of a target, of the same shape.

    Attributes:
        source: What the source network is trained on.
        source_test: What tells how good it became.
        pool: Target data that the few labels are drawn from.
        test: Target data that the reported accuracies are measured on, and
            nothing else.
    """

    source: Labelled
    source_test: Labelled
    pool: Labelled
    test: Labelled


def digits() -> Task:
    """From MNIST's digits to those of another scanner."""
    return Task(*mnist5k(), *optdigits())


def letters_and_digits() -> Task:
    """From printed letters to MNIST's digits: other classes, another look."""
    test, train = few_shot(*letters(), per_class=20, seed=0)
    return Task(train, test, *mnist5k())
