"""Fine-tuning of a network on one's own pictures."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras

from keras_otreg.labelling.shares import UNIFORM
from keras_otreg.workflows.heads import features_of, place_of, with_new_head
from keras_otreg.workflows.layers import known_layers
from keras_otreg.workflows.methods import Method, default_place
from keras_otreg.workflows.networks import (
    picture_shape,
    teacher_named,
    title_of,
)
from keras_otreg.workflows.project import begin, started
from keras_otreg.workflows.results import (
    HEAD_ONLY,
    HEADS,
    LABELS,
    PLAIN,
    Result,
    to_keep,
)
from keras_otreg.workflows.settings import NONE, Settings
from keras_otreg.workflows.training import few_pictures
from keras_otreg.workflows.unlabelled import Unlabelled, shown_labels


def finetune(
    data: str | os.PathLike[str],
    teacher: str | os.PathLike[str] | keras.Model = "efficientnet-lite0",
    *,
    method: str = NONE,
    at: Sequence[str] = (),
    weight: float | None = None,
    trials: int = 0,
    unlabelled: str | os.PathLike[str] | None = None,
    shares: Any = UNIFORM,
    **settings: Any,
) -> Result:
    """Fine-tune a network on a folder of pictures.

    Solves a new head on frozen features, trains all of the network from
    there, also under a penalty if there is a `method`, interpolates between
    the solved head and the better training, and keeps what is best in
    validation. Called again with the same folder, it trains only what is
    missing.

    Args:
        data: A folder of pictures, as of `keras_otreg.data.picture_parts`.
        teacher: The network to start from: `"efficientnet-lite0"`, the path of
            a `.keras` file, a name of `keras.applications`, or a model.
        method: `"none"`, `"transport"`, or another `--method` of
            `keras-otreg finetune`.
        at: Paths of the layers where it acts; the one before the head if none
            is given.
        weight: Its strength; the middle of what a search draws from if not
            given.
        trials: Trainings under the penalty with strengths drawn at random, or
            without one with learning rates drawn at random; 0 for one with
            `weight`.
        unlabelled: A folder with pictures without labels. The head is solved
            on them too, by `keras_otreg.labelling.solve_head_in_rounds`, and
            all of the network trained from the better of the two heads.
        shares: Shares of the classes among these: `"uniform"`, `"labelled"`,
            `"model"`, `"validation"`, a mapping from names of classes, or a CSV
            file with a class and its share in each row. `"validation"` is
            better than `"uniform"` if the folder has validation pictures of its
            own, drawn like the unlabelled ones, ten of each class or more.
        **settings: Those of `Settings`, such as `out`, `shots` and `epochs`.

    Returns:
        The `Result`.

    Raises:
        OSError: If the teacher or the folder cannot be used.
        ValueError: If the pictures or a layer are not there, or the folder
            holds a run with other settings.
        ImportError: If a package is missing.

    Example:
        ```python
        result = otreg.workflows.finetune("clothes", shots=20, out="tuned")
        print(result.summary)
        result.model.predict(pictures)
        ```
    """
    return _fine_tuned(
        *("finetune", data, teacher, settings, method, at, trials, {}),
        weight=weight,
        unlabelled=unlabelled,
        shares=shares,
    )


def tune(
    data: str | os.PathLike[str],
    teacher: str | os.PathLike[str] | keras.Model = "efficientnet-lite0",
    *,
    method: str = NONE,
    at: Sequence[str] = (),
    everywhere: bool = False,
    trials: int = 20,
    **settings: Any,
) -> Result:
    """Search the learning rate, and where and how strongly a penalty acts.

    It is `finetune` with trials that draw the learning rate and, of a penalty,
    the layer and the strength; `data`, `teacher`, `method`, returns and raises
    are the same.

    Args:
        data: A folder of pictures.
        teacher: The network to start from.
        method: The penalty.
        at: Paths of layers; each trial draws one of them.
        everywhere: Whether each trial acts at all of them instead.
        trials: Trainings with values drawn at random. Called again with more,
            it goes on.
        **settings: As for `finetune`; the `learning_rate` is that of the plain
            fine-tuning which the trials are compared with.

    Example:
        ```python
        layers = ["block5_out", "avg_pool"]
        result = otreg.workflows.tune("clothes", at=layers, trials=10)
        ```
    """
    draw = {"one_place": not everywhere, "rate": True}
    return _fine_tuned(
        "tune", data, teacher, settings, method, at, trials, draw
    )


def _fine_tuned(
    command,
    data,
    teacher,
    settings,
    method,
    at,
    trials,
    draw,
    weight=None,
    unlabelled=None,
    shares=UNIFORM,
):
    """Fine-tune; `draw` has the arguments of `Method.draw`."""
    given, folder = Settings.of(command, settings), pathlib.Path(data)
    begin(given, folder)
    network = teacher_named(teacher, given.image_size)
    shape = picture_shape(network, given.image_size)
    parts = few_pictures(folder, given)
    features, title = features_of(network), title_of(teacher)
    names = parts["train"].class_names
    student = with_new_head(network, features, len(names), given.seed)
    at = at or [default_place(student, method, place_of(network))]
    at = known_layers(student, at, title, features)
    how = Method(method, {x: x for x in at}, weight)
    how.check(student)
    others = {"teacher": network, "method": method, "at": at, "weight": weight}
    more = None
    if unlabelled is not None:
        more = Unlabelled.of(unlabelled, shares, names)
        others |= {"unlabelled pictures": more.files, "shares": more.shares}
    with started(command, given, parts, shape, {**others, **draw}) as project:
        results, values = _trained(project, student, how, more, trials, draw)
        shown = {"teacher": title, "method": method, **how.settings(values)}
        shown["trials"] = trials or "none: the defaults"
        if "learning_rate" in values:
            shown["learning rate of the trial"] = values["learning_rate"]
        has_method = how.title in results
        return project.finish(
            results,
            *((how.title, PLAIN) if has_method else (PLAIN, HEAD_ONLY)),
            shown,
            title=f"Fine-tuned: {folder.resolve().name}",
            lead=f"{title}, fine-tuned on {len(parts['train'].paths)} pictures "
            f"of {len(names)} classes.",
            # A strength that was searched is not to be searched once more.
            search=None if trials else "--tune 10",
            more="--unlabelled" if command == "finetune" and not more else "",
            labels=shown_labels(results[LABELS], more) if more else None,
            **_neurons(project, results, how, values),
        )


def _trained(project, student, how, more, trials, draw):
    """All networks by their titles, and the values of the best trial."""
    heads = {HEAD_ONLY: project.solve_head(student)}
    if more is not None:
        heads[LABELS] = project.label(heads[HEAD_ONLY], more)
    head = heads[project.best(heads)]
    tuned = {PLAIN: project.train("plain", PLAIN, head.model)}
    values: dict[str, Any] = {}
    if trials:
        found, values = project.search(how, head.model, trials, **draw)
        tuned[how.title] = found
    elif how.name != NONE:
        tuned[how.title] = project.train(
            "method", how.title, head.model, how.model
        )
    return {**heads, **tuned, **project.interpolate(head, tuned)}, values


def _neurons(project, results, how, values):
    """The neurons of a report, unless only the head was trained."""
    chosen = to_keep(results, project.parts["validation"].labels)
    if chosen in HEADS:
        return {}
    at = values.get("at", next(iter(how.places))).split(" + ")[0]
    networks = results[HEAD_ONLY].model, results[chosen].model
    return project.neurons(*networks, (at, at), how.loss(values), same=True)
