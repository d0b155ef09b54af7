"""Fine-tuning of a network on one's own pictures."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_otreg.labelling.labels import UNIFORM
from keras_otreg.workflows.heads import features_of, place_of, with_new_head
from keras_otreg.workflows.layers import known_layers
from keras_otreg.workflows.methods import Method, NoPenalty, default_place
from keras_otreg.workflows.networks import (
    picture_shape,
    teacher_named,
    title_of,
)
from keras_otreg.workflows.project import (
    Project,
    begin,
    few_pictures,
    trained_project,
)
from keras_otreg.workflows.results import (
    HEAD_ONLY,
    LABELS,
    PLAIN,
    ReportData,
    Result,
)
from keras_otreg.workflows.settings import NONE, Settings
from keras_otreg.workflows.unlabelled import Unlabelled, shown


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
            `"model"`, a mapping from names of classes, or a CSV file with a
            class and its share in each row.
        **settings: Those of `Settings`: `out`, `shots`, `image_size`,
            `epochs`, `patience`, `batch_size`, `learning_rate`, `seed` and
            `quiet`.

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
    given = Settings.of("finetune", settings)
    return _fine_tuned(
        *("finetune", data, teacher, given, method, at, weight, trials, {}),
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
    the layer and the strength; returns and raises are the same.

    Args:
        data: As for `finetune`.
        teacher: As for `finetune`.
        method: As for `finetune`.
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
    given = Settings.of("tune", settings)
    draw = {"one_place": not everywhere, "rate": True}
    return _fine_tuned(
        "tune", data, teacher, given, method, at, None, trials, draw
    )


def _fine_tuned(
    command: str,
    data: str | os.PathLike[str],
    teacher: str | os.PathLike[str] | keras.Model,
    settings: Settings,
    method: str,
    at: Sequence[str],
    weight: float | None,
    trials: int,
    draw: Mapping[str, bool],
    unlabelled: str | os.PathLike[str] | None = None,
    shares: Any = UNIFORM,
) -> Result:
    """Fine-tune; `draw` has the arguments of `Method.draw`."""
    folder, title = pathlib.Path(data), title_of(teacher)
    console = begin(settings, folder)
    network = teacher_named(teacher, settings.image_size)
    shape = picture_shape(network, settings.image_size)
    parts = few_pictures(folder, settings)
    features = features_of(network)
    names = parts["train"].class_names
    student = with_new_head(network, features, len(names), settings.seed)
    at = at or [default_place(student, method, place_of(network))]
    places = known_layers(student, at, title, features)
    where = {x: x for x in places}
    plain = method == NONE
    how = NoPenalty(where) if plain else Method(method, where, weight)
    how.check(student)
    more = None
    if unlabelled is not None:
        more = Unlabelled.of(unlabelled, shares, names)

    def work(project):
        results, values = _trained(project, student, how, more, trials, draw)
        data = _report_data(
            project, how, results, values, title, folder, trials
        )
        if more is not None:
            found = shown(results[LABELS], more)
            return dataclasses.replace(data, labels=found)
        has_option = command == "finetune"
        return dataclasses.replace(data, more="--unlabelled" * has_option)

    return trained_project(
        command,
        settings,
        parts,
        {"teacher": network},
        shape,
        work,
        console,
        {
            **{"method": method, "at": places, "weight": weight, **draw},
            **({} if more is None else {"shares": more.shares}),
        },
        digests=None if more is None else {"unlabelled": more.files},
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


def _report_data(
    project: Project, method, results, values, title, folder, trials
) -> ReportData:
    chosen = project.best(results)
    neurons = {}
    # With its head alone trained, a network has the teacher's neurons.
    if chosen not in (HEAD_ONLY, LABELS):
        at = values.get("at", next(iter(method.places))).split(" + ")[0]
        networks = results[HEAD_ONLY].model, results[chosen].model
        loss = method.loss(values)
        neurons = project.neurons(*networks, (at, at), loss, same=True)
    train = project.trainer.parts["train"]
    told = {
        "teacher": title,
        "method": method.name,
        **method.settings(values),
        "trials": trials or "none: the defaults",
    }
    if "learning_rate" in values:
        told["learning rate of the trial"] = values["learning_rate"]
    pair = method.title, PLAIN
    if method.title not in results:
        pair = PLAIN, HEAD_ONLY
    return project.report(
        *(results, *pair, told),
        title=f"Fine-tuned: {folder.resolve().name}",
        lead=f"{title}, fine-tuned on {len(train.paths)} pictures of "
        f"{len(train.class_names)} classes.",
        # A strength that was searched is not to be searched once more.
        search=None if trials else "--tune 10",
        **neurons,
    )
