"""Fine-tunes a network on one's own pictures."""

import dataclasses
import pathlib
from typing import Any

import keras

from keras_otreg.data import PictureFiles, draw_pictures, picture_parts
from keras_otreg.models.copies import copy_of
from keras_otreg.workflows.heads import features_of, place_of, with_new_head
from keras_otreg.workflows.learning import (
    HEAD_EPOCHS,
    Settings,
    compile_for,
    stopper,
)
from keras_otreg.workflows.methods import Method, default_place
from keras_otreg.workflows.networks import (
    picture_shape,
    teacher_named,
    without_batch_statistics,
)
from keras_otreg.workflows.places import known_layers
from keras_otreg.workflows.project import (
    HEAD_ONLY,
    PLAIN,
    Project,
    facts,
    project,
)
from keras_otreg.workflows.run import SEARCH, Trained, write_table
from keras_otreg.workflows.story import Story


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is to be fine-tuned, on what, and how.

    Attributes:
        data: A folder of pictures, as of `keras_otreg.data.picture_parts`.
        teacher: Name or path of the network to start from.
        out: An existing folder to write to.
        method: One of `names.TITLES`.
        at: Layers where it acts; none for the default.
        weight: How strongly; `None` for the default, or for what is searched.
        shots: Pictures of each class to learn from; `None` for all.
        trials: Of the search for a strength; 0 for none.
        image_size: Height and width where the network takes any.
        settings: How networks are trained.
    """

    data: pathlib.Path
    teacher: str
    out: pathlib.Path
    method: str
    at: tuple[str, ...]
    weight: float | None
    shots: int | None
    trials: int
    image_size: int
    settings: Settings


def finetune(wish: Wish, console: Any) -> Story:
    """Trains a new head, then all of a network, and writes what came out.

    Args:
        wish: What is to be done.
        console: A `rich.console.Console`.

    Returns:
        What the report tells.

    Raises:
        OSError: If the teacher cannot be had or used.
        ValueError: If the pictures or a layer are not there, or the folder
            holds another run.
        ImportError: If a package is missing.
    """
    teacher = teacher_named(wish.teacher, wish.image_size)
    shape = picture_shape(teacher, wish.image_size)
    parts = few_pictures(wish.data, wish.shots, wish.settings.seed)
    features = features_of(teacher)
    classes = len(parts["train"].class_names)
    student = with_new_head(teacher, features, classes, wish.settings.seed)
    default = default_place(student, wish.method, place_of(teacher))
    at = wish.at or (default,)
    places = known_layers(student, at, wish.teacher, features)
    method = Method(wish.method, {x: x for x in places}, wish.weight)
    method.check(student)
    known = facts(
        "finetune",
        parts,
        {"teacher": teacher},
        vars(wish.settings),
        image_size=shape[0],
        method=wish.method,
        at=places,
        weight=wish.weight,
        trials=wish.trials,
    )
    epochs = HEAD_EPOCHS + (2 + wish.trials) * wish.settings.epochs
    with project(
        wish.out, known, parts, shape, wish.settings, console, epochs
    ) as work:
        story = _story(wish, work, method, student)
        work.write(story)
    return story


def few_pictures(
    folder: pathlib.Path, shots: int | None, seed: int
) -> dict[str, PictureFiles]:
    """The parts of a folder, with few pictures to learn from if wanted."""
    parts = picture_parts(folder, seed)
    if shots is not None:
        parts["train"] = draw_pictures(parts["train"], shots, seed)
    return parts


def _story(wish, work: Project, method: Method, student: keras.Model) -> Story:
    head = work.learn_head(student)
    plain = work.learn("plain", PLAIN, head.model)
    values = _searched(wish, work, method, head)
    found = work.learn(
        "method",
        method.title,
        head.model,
        lambda student: method.model(student, values=values),
    )
    place = next(iter(method.places.items()))
    train = work.lessons.parts["train"]
    return Story(
        title=f"Fine-tuned: {wish.data.resolve().name}",
        lead=f"{wish.teacher}, fine-tuned on "
        f"{len(train.paths)} pictures of {len(train.class_names)} classes.",
        results={HEAD_ONLY: head, PLAIN: plain, method.title: found},
        plain=PLAIN,
        parts=work.lessons.parts,
        **work.neurons(
            head.model, found.model, place, method.loss(values), True
        ),
        settings={
            "teacher": wish.teacher,
            "method": method.title,
            **method.settings(values),
            **wish.settings.shown(),
            "trials": wish.trials or "none: the defaults",
        },
        # A strength that was searched is not to be searched once more.
        search=None if wish.trials else "--tune 10",
    )


def _searched(
    wish: Wish, work: Project, method: Method, head: Trained
) -> dict[str, Any] | None:
    """The strength that a search has found best, if one is wanted."""
    if not wish.trials:
        return None
    epochs = wish.trials * wish.settings.epochs
    if work.run.is_finished("search"):
        work.screen.skip(epochs)
    best = work.run.facts("search", lambda: _search(wish, work, method, head))
    work.screen.say(
        f"search: validation accuracy {best['score']:.3f}, the best of "
        f"{wish.trials} trials"
    )
    return best["values"]


def _search(wish, work, method, head):
    lessons, settings = work.lessons, wish.settings
    watch = work.screen.watch("search", settings.epochs)
    rows = method.search(
        without_batch_statistics(copy_of(head.model)),
        lambda model: compile_for(model, settings.learning_rate),
        wish.trials,
        settings.seed,
        wish.out / SEARCH,
        x=lessons.to_learn(),
        validation_data=lessons.still["validation"],
        epochs=settings.epochs,
        callbacks=[stopper(settings.patience), watch],
        # A data set has its own order.
        shuffle=False,
        verbose=0,
    )
    if rows[0]["score"] is None:
        raise OSError(f"no trial has succeeded; see {wish.out / SEARCH}")
    write_table(wish.out / "trials.csv", rows)
    score = rows[0]["score"]
    own = ("trial", "status", "score")
    values = {k: v for k, v in rows[0].items() if k not in own}
    return {"score": score, "values": values}
