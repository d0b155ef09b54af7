"""Fine-tuning of a network on one's own pictures, also unlabelled ones."""

import csv
import functools
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_otreg import checks
from keras_otreg.data import PictureFiles
from keras_otreg.labelling import solve_head_in_rounds
from keras_otreg.labelling.shares import NAMED, UNIFORM, known_shares
from keras_otreg.models.teacher import copy_of
from keras_otreg.workflows import layers
from keras_otreg.workflows.classification import pictures_of
from keras_otreg.workflows.methods import Method, default_place
from keras_otreg.workflows.networks import picture_shape, teacher_named
from keras_otreg.workflows.project import begin, started
from keras_otreg.workflows.report import examples
from keras_otreg.workflows.results import (
    HEAD_ONLY,
    HEADS,
    LABELS,
    PLAIN,
    TRIALS,
    Result,
)
from keras_otreg.workflows.settings import NONE, Settings
from keras_otreg.workflows.stages import Trained, write_table

# Names of arrays that a stage keeps beside its predictions.
PROBABILITIES, WEIGHTS = "labels", "label weights"
# Pictures that a report shows as sure, and as unsure.
SHOWN = 6


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
    acts, extra = (method, at, weight), (unlabelled, shares)
    return _fine_tuned(
        "finetune", data, teacher, settings, acts, trials, {}, extra
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
    the layer and the strength; what is not described here is the same.

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
    acts, draw = (method, at, None), {"one_place": not everywhere, "rate": True}
    return _fine_tuned("tune", data, teacher, settings, acts, trials, draw)


def _fine_tuned(
    command, data, teacher, settings, acts, trials, draw, extra=(None, None)
):
    """Fine-tune; `draw` has the arguments of `Method.draw`."""
    (method, at, weight), (unlabelled, shares) = acts, extra
    given, folder = Settings.of(command, settings), pathlib.Path(data)
    parts = begin(given, folder)
    network, title = teacher_named(teacher, given.image_size)
    shape = picture_shape(network, given.image_size)
    features, names = layers.features_of(network), parts["train"].class_names
    student = layers.with_new_head(network, features, len(names), given.seed)
    at = at or [default_place(student, method, layers.place_of(network))]
    at = layers.known_layers(student, at, title, features)
    how = Method(method, {x: x for x in at}, weight)
    # So that errors come before training.
    how.model(copy_of(student))
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
        heads[LABELS] = _label(project, heads[HEAD_ONLY], more)
    head = heads[project.best(heads)]
    tuned = {PLAIN: project.train("plain", PLAIN, head.model)}
    values: dict[str, Any] = {}
    if trials:
        tuned[how.title], values = search(
            project, how, head.model, trials, **draw
        )
    elif how.name != NONE:
        tuned[how.title] = project.train(
            "method", how.title, head.model, how.model
        )
    return {**heads, **tuned, **project.interpolate(head, tuned)}, values


def search(project, method, start, trials, **draw):
    """Train with values drawn at random, each a stage, and return the best."""
    found, failure = [], None
    for k in range(trials):
        values = method.draw(project.settings.seed + k, **draw)
        title = f"{method.title}, trial {k + 1} of {trials}"
        wrap = functools.partial(method.model, values=values)
        rate = {"learning_rate": values.get("learning_rate")}
        try:
            trained = project.train(f"trial-{k:03}", title, start, wrap, **rate)
        except FloatingPointError as error:
            failure = error
            project.bar.say(f"{title}: diverged")
            continue
        found.append((project.score(trained), k + 1, trained, values))
    if not found:
        raise FloatingPointError(f"every trial diverged: {failure}")
    found.sort(key=lambda one: one[0], reverse=True)
    rows = [
        {
            "trial": number,
            "validation accuracy": accuracy,
            "validation cross-entropy": -minus_loss,
            **values,
        }
        for (accuracy, minus_loss), number, _, values in found
    ]
    write_table(project.run.folder / TRIALS, rows)
    _, number, trained, values = found[0]
    shown = ", ".join(
        f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}"
        for k, v in values.items()
    )
    project.bar.say(f"best trial: {number} ({shown})")
    return trained, values


def _neurons(project, results, how, values):
    """The neurons of a report, unless only the head was trained."""
    chosen = project.kept(results)
    if chosen in HEADS:
        return {}
    at = values.get("at", next(iter(how.places))).split(" + ")[0]
    networks = results[HEAD_ONLY].model, results[chosen].model
    return project.neurons(*networks, (at, at), how.loss(values), same=True)


class Unlabelled(NamedTuple):
    """Pictures without labels; the shares of classes, by name or as numbers."""

    files: PictureFiles
    shares: Any

    @classmethod
    def of(cls, folder: Any, shares: Any, class_names: Sequence[str]) -> Any:
        """Find the pictures in a folder, at any depth, and read the shares."""
        paths = pictures_of([folder])
        labels = np.zeros(len(paths), "int32")
        files = PictureFiles(paths, labels, list(class_names))
        if isinstance(shares, (str, os.PathLike)):
            if shares in NAMED:
                return cls(files, shares)
            shares = _read(pathlib.Path(shares))
        found = known_shares(shares, len(class_names), class_names)
        return cls(files, found.tolist())


def _read(path):
    """The shares in a CSV file with a class and its share in each row."""
    if not path.is_file():
        raise checks.invalid(
            f"one of {sorted(NAMED)}, or a CSV file with a class and its share "
            "in each row",
            f"'{path}', and there is no such file",
            argument="shares",
        )
    expected = f"rows of a class and its share in '{path}'"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
        if rows and rows[0] == ["class", "share"]:
            rows = rows[1:]
        shares = {name: float(share) for name, share in rows}
    except ValueError as error:
        raise checks.invalid(expected, str(error)) from error
    if len(shares) < len(rows):
        raise checks.invalid(expected, "two rows of one class")
    return shares


def _label(project, start, given):
    """The stage that solves the head on unlabelled pictures too."""

    def work():
        student = copy_of(start.model)
        batches = project.with_mirrored(), project.batches(given.files)
        how = {"shares": given.shares}
        how["validation"] = project.fixed["validation"]
        labels = solve_head_in_rounds(student, *batches, **how).labels
        kept = {PROBABILITIES: labels.probabilities}
        kept[WEIGHTS] = labels.sample_weight
        return Trained(student, predictions=kept)

    return project.stage("labels", LABELS, work)


def shown_labels(trained: Trained, given: Unlabelled) -> dict[str, Any]:
    """What a report tells about labels."""
    labels = trained.predictions[PROBABILITIES]
    weights = trained.predictions[WEIGHTS]
    is_known = not isinstance(given.shares, str)
    known = given.shares if is_known else [None] * labels.shape[1]
    names, means = given.files.class_names, labels.mean(axis=0)
    order = np.argsort(-labels.max(axis=1), kind="stable")
    return {
        "count": len(weights),
        "labelled": int((weights > 0.0).sum()),
        "shares": [
            {"name": name, "known": own, "estimated": float(share)}
            for name, own, share in zip(names, known, means, strict=True)
        ],
        "is_known": is_known,
        "sure": examples(given.files, labels, order[:SHOWN]),
        "unsure": examples(given.files, labels, order[::-1][:SHOWN]),
    }
