"""Joint transfer: training on few pictures beside many of other classes."""

import dataclasses
import os
import pathlib
from typing import Any

import keras
import numpy as np

from keras_otreg import checks, class_costs, losses, plots
from keras_otreg.data import paired, picture_parts
from keras_otreg.models import SourceTask, TransferModel
from keras_otreg.models.teacher import copy_of
from keras_otreg.workflows.layers import features_of, with_new_head
from keras_otreg.workflows.networks import picture_shape, teacher_named
from keras_otreg.workflows.project import LOSS, SOURCE_PLAN, begin, started
from keras_otreg.workflows.results import HEAD_ONLY, PLAIN, VARIED, Result
from keras_otreg.workflows.settings import Settings

JOINT = "joint transfer"
ALL, SHARES = "all", ("all", "plan")
# Name of the array that the joint training keeps beside its predictions.
PLAN = "class plan"
# Pictures of each class that the costs between classes are computed from, and
# those of a source class whose variation is used.
MOST = 50
# Source classes that a report names.
NAMED = 10


def joint(
    target: str | os.PathLike[str],
    source: str | os.PathLike[str],
    teacher: str | os.PathLike[str] | keras.Model = "efficientnet-lite0",
    *,
    source_weight: float = 1.0,
    transport_weight: float = 1.0,
    source_shares: str = ALL,
    **settings: Any,
) -> Result:
    """Fine-tune on pictures alone and beside others, and keep the best network.

    The head is solved on the target pictures, and once more with the variation
    of the source pictures within their classes. All of the network is then
    trained from the better one of both, with and without the source.

    Args:
        target: A folder of pictures, as of `keras_otreg.data.picture_parts`.
        source: Another one, of other classes; its training pictures are used.
        teacher: As for `finetune`.
        source_weight: Of the source task.
        transport_weight: Of the transport between the two heads.
        source_shares: `"all"` for all source pictures alike, or `"plan"` for
            classes drawn by `keras_otreg.class_costs.shares`: those near the
            target more often.
        **settings: Those of `Settings`, such as `out` and the `shots`.

    Raises:
        OSError, ValueError, ImportError: As `finetune` does.

    Example:
        ```python
        result = otreg.workflows.joint("clothes", "shoes", shots=5)
        ```
    """
    given = Settings.of("joint", settings)
    folders = pathlib.Path(target), pathlib.Path(source)
    parts = begin(given, *folders)
    if folders[0].resolve() == folders[1].resolve():
        raise checks.invalid(
            "target and source to be folders of different classes",
            f"'{target}' twice",
        )
    network, name = teacher_named(teacher, given.image_size)
    shape = picture_shape(network, given.image_size)
    others = picture_parts(folders[1], given.seed)["train"]
    features = features_of(network)
    classes = len(parts["train"].class_names)
    student = with_new_head(network, features, classes, given.seed)
    weights = {
        "source_weight": source_weight,
        "transport_weight": transport_weight,
        "source_shares": checks.one_of(source_shares, SHARES, "source_shares"),
    }
    seen = {"teacher": network, "source pictures": others, **weights}
    seen["pictures of a source class"] = MOST
    with started("joint", given, parts, shape, seen) as project:
        results = {HEAD_ONLY: project.solve_head(student)}
        near = others.take(others.first_of_each(MOST))
        results[VARIED] = project.solve_head(
            *(copy_of(results[HEAD_ONLY].model), "source-variation", VARIED),
            source=project.batches(near),
        )
        start = results[project.best(results)]
        plain = project.train("plain", PLAIN, start.model)
        how = student, start.model, features, others, weights
        found = project.stage("joint", JOINT, lambda: _train(project, *how))
        tuned = {PLAIN: plain, JOINT: found}
        results |= tuned | project.interpolate(start, tuned)
        shown = {"teacher": name, "source": folders[1]}
        shown |= {k.replace("_", " "): v for k, v in weights.items()}
        title = f"Joint transfer: {folders[0].resolve().name}"
        return _finish(project, results, shown, title, others)


def _train(project, student, start, features, source, weights):
    """Train beside a head for the source; the costs are of the student."""
    found: list[Any] = []
    for files in (source, project.parts["train"]):
        few = files.take(files.first_of_each(MOST))
        found += class_costs.extract(
            student, features, project.batches(few), verbose=0
        )
    costs = class_costs.normalise(class_costs.mkmmd(*found))
    models = []

    def wrap(student):
        task = SourceTask(
            keras.layers.Dense(len(costs), "softmax", name="source_head"),
            at=features,
            loss=LOSS,
            weight=weights["source_weight"],
            transport=losses.ClassTransport(costs),
            transport_weight=weights["transport_weight"],
        )
        models.append(TransferModel(student, source_task=task))
        return models[0]

    if weights["source_shares"] != ALL:
        source = drawn_by_shares(source, costs, project.settings.seed)
    data = paired(
        project.shuffled(project.parts["train"]), project.shuffled(source)
    )
    trained = project.trained(JOINT, start, wrap, batches=data)
    plan = _plan(models[0], project.fixed["validation"])
    return dataclasses.replace(trained, predictions={PLAN: plan})


def _plan(model, batches):
    """The mean plan between both heads."""
    loss = model.source_task.transport
    plans = []
    for x, _ in batches:
        heads = (model.source_model, model.student)
        predictions = (each(x, training=False) for each in heads)
        plans.append(keras.ops.convert_to_numpy(loss.plan(*predictions)))
    return np.concatenate(plans).mean(axis=0)


def _finish(project, results, shown, title, source):
    train = project.parts["train"]
    plan = results[JOINT].predictions[PLAN]
    names = source.class_names, train.class_names
    return project.finish(
        *(results, JOINT, PLAIN, shown),
        title=title,
        lead=f"{shown['teacher']}, fine-tuned on {len(train.paths)} pictures "
        f"of {len(train.class_names)} classes, beside {len(source.paths)} "
        f"pictures of {len(source.class_names)} other classes.",
        class_plan=plots.class_plan(plan, *names),
        near_classes=near_classes(
            results[VARIED].predictions[SOURCE_PLAN], *names
        ),
        strengths=("--transport-weight", "--source-weight"),
    )


def drawn_by_shares(files, costs, seed):
    """As many pictures, of classes drawn by how near they are to the target."""
    labels = np.unique(files.labels, return_inverse=True)[1]
    widths = (class_costs.shares(costs) / np.bincount(labels))[labels]
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(labels), len(labels), p=widths / widths.sum())
    return files.take(np.sort(rows))


def near_classes(plan, source, target):
    """The source classes that give most to a target class, by their plan."""
    shares = plan.sum(axis=1) / plan.sum()
    order = np.argsort(-shares, kind="stable")[:NAMED]
    return [
        {
            "source": source[row],
            "share": float(shares[row]),
            "target": target[int(np.argmax(plan[row]))],
        }
        for row in order
    ]
