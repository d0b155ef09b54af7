"""Searches where and how strongly transport acts on a folder of pictures."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from keras_otreg import tuning
from keras_otreg.data import PictureFiles, read_pictures
from keras_otreg.workflows.finetune import few_pictures
from keras_otreg.workflows.heads import features_of, place_of, with_new_head
from keras_otreg.workflows.learning import compile_for
from keras_otreg.workflows.networks import picture_shape, teacher_named
from keras_otreg.workflows.places import known_layers
from keras_otreg.workflows.project import facts
from keras_otreg.workflows.run import SEARCH, settle

RATES = (1e-4, 3e-3)


@dataclasses.dataclass(frozen=True)
class Wish:
    """What to search for, and with what.

    Attributes:
        data: A folder of pictures.
        out: An existing folder, for the search.
        teacher: What `teacher_named` takes.
        at: Layers where transport may act; before the head if there are none.
        everywhere: Whether it acts at all of them at once.
        method: `"transport"` or `"alignment"`.
        shots: Pictures of each class to train on; `None` for all.
        image_size: Height and width, where the teacher takes any.
        trials: How many trainings.
        epochs: Passes over the pictures in each.
        batch_size: Pictures in a batch.
        seed: Of the search, the draw and the first weights.
        quiet: Whether to show no progress.
    """

    data: pathlib.Path
    out: pathlib.Path
    teacher: str
    at: Sequence[str]
    everywhere: bool
    method: str
    shots: int | None
    image_size: int
    trials: int
    epochs: int
    batch_size: int
    seed: int
    quiet: bool


def searched(wish: Wish) -> tuple[list[dict[str, Any]], Any]:
    """Goes on with a search, or begins it.

    Args:
        wish: What to search for.

    Returns:
        A row for each trial, and the best model, as of
        `keras_otreg.tuning.random_search`.

    Raises:
        OSError: If the pictures, the teacher or a layer cannot be used.
        ValueError: If the folder holds a search with other settings.
    """
    teacher = teacher_named(wish.teacher, wish.image_size)
    shape = picture_shape(teacher, wish.image_size)
    parts = few_pictures(wish.data, wish.shots, wish.seed)
    classes = len(parts["train"].class_names)

    features = features_of(teacher)

    def student(hp=None):
        return with_new_head(teacher, features, classes, wish.seed)

    at = wish.at or (place_of(teacher),)
    places = known_layers(student(), at, wish.teacher, features)
    known_layers(teacher, places, wish.teacher)
    _settle(wish, parts, teacher, places, shape)
    return tuning.random_search(
        tuning.TransferHyperModel(
            student, teacher, _penalties(wish, places), compile=_compile
        ),
        wish.out / SEARCH,
        wish.trials,
        seed=wish.seed,
        epochs=wish.epochs,
        verbose=0 if wish.quiet else 2,
        **_pictures(wish, parts, shape),
    )


def _settle(wish, parts, teacher, places, shape):
    """Keeps apart searches for different things; one may get longer."""
    same = ("everywhere", "method", "shots", "epochs", "batch_size", "seed")
    known = facts(
        "tune",
        parts,
        {"teacher": teacher},
        {name: getattr(wish, name) for name in same},
        at=places,
        image_size=shape[0],
    )
    settle(wish.out, known)


def _penalties(wish, places):
    space = getattr(tuning, f"{wish.method}_space")

    def penalties(hp):
        if wish.everywhere:
            return tuning.at_each(hp, places, space)
        return [space(hp, places)]

    return penalties


def _compile(hp, model):
    compile_for(model, hp.Float("learning_rate", *RATES, sampling="log"))


def _pictures(
    wish: Wish, parts: Mapping[str, PictureFiles], shape: tuple[int, ...]
) -> dict[str, Any]:
    """What `fit` is given. Those that `finetune` tests with are not seen."""
    train, validation = (
        read_pictures(
            parts[part],
            shape[:2],
            wish.batch_size,
            channels=shape[2],
            shuffle=part == "train",
            seed=wish.seed,
        )
        for part in ("train", "validation")
    )
    # A data set has its own order.
    return {"x": train, "validation_data": validation, "shuffle": False}
