"""Accuracy of heads that learn from unlabelled pictures too."""

import functools
import operator
import pathlib

import consistency
import keras
import numpy as np
import upper_layers
from labelling_tasks import (
    PARTS,
    ROUNDS,
    VIEWS,
    Task,
    drawn,
    features,
    predicted,
    solved,
)
from labelling_ways import (
    calibrated,
    hard,
    known,
    of_fewer,
    of_held,
    plan,
    pseudo,
    temperature,
    truth,
    virtual,
    within_bounds,
)
from results import Cells, row

from keras_otreg import heads
from keras_otreg.experiments.statistics import interval
from keras_otreg.heads import Samples, targets_of
from keras_otreg.labelling import solve_head_in_rounds
from keras_otreg.labelling.labels import best_temperature

ABOUT = """\
A head is solved on frozen features of EfficientNet-Lite0 (ImageNet, 128 px, \
their first 256 principal components), from a few labelled pictures of each \
class, and in three more rounds from these and up to 1,500 others that were \
labelled by the head of the round before. The two have equal mass. The \
strength of the ridge is that of the least cross-entropy of the validation \
pictures for the head that sees labelled pictures alone, and the same in all \
rows of a task; the best threshold is that of the best validation accuracy. \
Test accuracy, mean over {draws} draws, and the gain over the head alone with \
its paired 95 % bootstrap interval. `unequal`: the unlabelled pictures are \
drawn so that the most frequent class has ten times as many as the rarest, in \
another order in each draw. `random`: the labelled pictures are a random draw \
with at least one of each class. `30 to 100 %`: the share of the labels that \
count grows from round to round; else it is the same. A `virtual class` takes \
the mass that is least sure (P2OT). The ridge was first chosen by validation \
accuracy; the plans then lost up to 0.16, and the choice was changed after the \
test accuracies of that run were seen. Rows that were behind on the first \
tasks were not run on the others.

Shares `by validation` are estimated in each round from the labels of all \
validation pictures, or of a random draw of so many `a class` on average, and \
the predictions for both kinds of pictures. Shares `of the validation labels` \
are the frequencies of these alone. The plan meets both exactly. In all other \
rows the validation labels choose settings alone. The estimator, and that the \
validation labels count as much as all unlabelled pictures, were chosen after \
a look at validation and test accuracies of a trial on the same tasks with \
fewer draws; its rows were run last.

Strong views: each training picture, or each unlabelled one, also counts in \
{views} strongly augmented \
ones (mirrored, moved by up to an eighth, turned by up to 30 degrees, zoomed, \
other colours, a part erased), with the label of the plain picture and a \
{copies}th of the mass each. FixMatch and FlexMatch are own code by the rules \
of their papers. They train the head from the solved one, with the same ridge, \
in {steps} steps of momentum 0.9 and a rate that falls as a cosine. Each step \
sees all labelled pictures, and {batch} others: where the probability of the \
plain picture is above the threshold, its class is the label of one of its \
strong views. FlexMatch lowers the threshold of classes of which less is \
learned. Threshold (0.7, 0.9 or 0.95), rate (0.003 or 0.03) and, beside \
transport, the last or averaged weights (0.99) are those of the best \
validation accuracy. All features: `solve_head_in_rounds` itself on all 1,280 \
features, with the ridge of each draw and the best round by validation, and \
its gain over the head before, on one task of each folder. This protocol was \
written before these rows were run, but for strong views of the unlabelled \
pictures alone: they were added when views of all had lost in validation on \
the first task. They gained there and lost on groceries, also in validation, \
and were not run on the others.

Upper layers trained: the last convolution and the head are trained by Adam, \
in three rounds of {trained} steps or more (a whole number of epochs) of \
{rows} pictures, with `SelfTraining` and `with_labels` as a user would, from \
the head that `solve_head_in_rounds` found on all features. Batch \
normalisation is fixed. For comparison the same network is trained for as many \
steps on the labelled pictures alone, from the head solved on them. Both end \
with the weights before the training or after the round that are best in \
validation. The rate (1e-4, 3e-4 or 1e-3) is that of the best validation \
accuracy on the first two draws. This protocol was written before these rows \
were run, but for a trial with one draw of groceries."""
DRAWS = 8
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)


HEAD = "head alone"
# By transport, with shares that are not known, are estimated, and are known.
OURS = (
    "shares uniform, 30 to 100 %",
    "shares by validation, 30 to 100 %",
    "shares known, 30 to 100 %",
)
THRESHOLDS = (0.7, 0.9, 0.95)
PSEUDO = "pseudo-labels above {}"
ALL, GROWING = (1.0, 1.0), (0.3, 1.0)
METHODS = {
    **{PSEUDO.format(t): pseudo(t) for t in THRESHOLDS},
    "shares uniform, exact, all": plan("uniform", ALL, rho=None),
    "shares uniform, surest 30 %": plan("uniform"),
    "shares uniform, 30 to 100 %": plan("uniform", GROWING),
    "shares of the labelled, surest 30 %": plan("labelled"),
    "shares of the model, surest 30 %": plan("model"),
    "shares within Wilson bounds, surest 30 %": plan(within_bounds),
    "shares of the validation labels, 30 to 100 %": plan(of_held, GROWING),
    "shares by validation, 30 to 100 %": plan("validation", GROWING),
    **{
        f"shares by {k} validation labels a class, 30 to 100 %": of_fewer(
            plan("validation", GROWING), k
        )
        for k in (3, 10)
    },
    "virtual class of 70 %": virtual(0.3),
    "shares uniform, 30 %, temperature by validation": calibrated(
        plan("uniform"), "validation"
    ),
    "shares uniform, 30 %, temperature by cross-validation": calibrated(
        plan("uniform"), "labelled"
    ),
    "shares known, surest 30 %": plan(known),
    "shares known, 30 to 100 %": plan(known, GROWING),
    "shares known, 30 to 100 %, hard": hard(plan(known, GROWING)),
    "all labels known": truth,
}
# Those that are measured on all folders; on the first one all are.
MAIN = (
    *map(PSEUDO.format, THRESHOLDS),
    "shares uniform, surest 30 %",
    "shares of the validation labels, 30 to 100 %",
    *OURS,
    "all labels known",
)
VIEWED = ", strong views"
OTHERS_VIEWED = ", strong views of the unlabelled"
AUGMENTED = [
    *((name, VIEWED) for name in (HEAD, *OURS)),
    *((name, OTHERS_VIEWED) for name in OURS),
]
# Rows that are behind in validation are not run on the other tasks.
AUGMENTED_ON = {
    VIEWED: (Task("clothing-small", 5),),
    OTHERS_VIEWED: (Task("clothing-small", 5), Task("grocery", 5)),
}
UNREDUCED = ", all features"
UNREDUCED_ON = (Task("clothing-small", 5), Task("grocery", 5))
SHARES = dict(
    zip((HEAD, *OURS), (None, "uniform", "validation", known), strict=True)
)
# The rate of each row is the best on so many draws.
TRAINED, DRAWS_OF_RATES = "{}, upper layers trained, rate {:g}", 2
BEST = "pseudo-labels above the best threshold"
LABELS = "pseudo-labels"
# Other ways to label, with all their settings.
PEERS = {
    LABELS: [*map(PSEUDO.format, THRESHOLDS)],
    **{
        method: [
            f"{setting}{end}"
            for setting in consistency.SETTINGS
            if setting.method == method
            for end in ("", consistency.AVERAGED)
        ]
        for method in (consistency.FIXMATCH, consistency.FLEXMATCH)
    },
}


def accuracies(data, task, seed, l2, method, views=None):
    """Accuracy on validation and on test pictures, and cross-entropy."""
    draw = drawn(data, task, seed)
    if views is not None:
        draw = draw.augmented(data["views"], views == VIEWED)
    weights = solved(draw, l2)
    if method is not None:
        held, labels = data["validation"]
        first = weights
        draw = draw._replace(
            heat={
                "labelled": lambda: temperature(draw, l2),
                "validation": lambda: best_temperature(
                    held @ first[:-1] + first[-1], labels
                ),
            }
        )
        for number in range(ROUNDS):
            p = predicted(weights, draw.more[: len(draw.truth)])
            draw = draw._replace(held=(predicted(weights, held), labels))
            weights = solved(draw, l2, *method(draw, p, number))
    return scores(data, weights)


def scores(data, weights):
    """Accuracy on validation and on test pictures, and cross-entropy."""
    found = [(predicted(weights, x), y) for x, y in map(data.get, PARTS[1:])]
    p, y = found[0]
    right = [float((p.argmax(axis=1) == y).mean()) for p, y in found]
    loss = -np.log(np.maximum(p[np.arange(len(y)), y], 1e-12)).mean()
    return [*right, float(loss)]


@functools.cache
def matched(read, task, seed, l2, setting):
    """Scores after a training by FixMatch or FlexMatch, and of averages."""
    data = read(task.data)
    draw = drawn(data, task, seed)
    views = data["views"][:, draw.rest]
    found = consistency.trained(
        draw, views, l2, solved(draw, l2), setting, seed
    )
    return [scores(data, weights) for weights in found]


def every_feature(data):
    """All features of the pictures of each part, and their labels."""
    found = data["all"]
    return {part: (found[part], found[f"{part} labels"]) for part in PARTS}


@functools.cache
def unreduced(read, task, seed, name):
    """The head of the library's own rounds on all features, or of none."""
    data, shares = read(task.data), SHARES[name]
    draw, every = drawn(data, task, seed), every_feature(data)
    x = every["train"][0]
    inputs = keras.Input(x.shape[1:])
    student = keras.Model(inputs, keras.layers.Dense(draw.classes)(inputs))
    if shares is None:
        own, held = (
            Samples(x, targets_of(y, draw.classes), np.ones(len(y)))
            for x, y in ((x[draw.few], draw.y), every["validation"])
        )
        head = student.layers[-1]
        heads.solve(head, own, heads.VALIDATION, held, by_loss=True)
    else:
        solve_head_in_rounds(
            student,
            (x[draw.few], draw.y),
            x[draw.rest],
            shares=numbers_of(shares, draw),
            validation=every["validation"],
        )
    return heads.weights_of(student.layers[-1])


def numbers_of(shares, draw):
    """Shares that are known, as numbers; else their name."""
    return shares(draw, None) if callable(shares) else shares


def tasks_of(folders):
    """Each folder with few labels, and the first also in two other draws."""
    first, *others = [folder.name for folder in folders]
    kinds = [Task(first, 5, kind) for kind in ("unequal", "random")]
    made = [Task(name, labels) for name in others for labels in (5, 2, 10)]
    return [*(Task(first, labels) for labels in (5, 2, 10)), *kinds, *made]


def about():
    """How it was measured, for a page."""
    return ABOUT.format(
        draws=DRAWS,
        views=VIEWS,
        copies=VIEWS + 1,
        steps=consistency.STEPS,
        batch=consistency.BATCH,
        trained=upper_layers.STEPS,
        rows=upper_layers.BATCH,
    )


def measure(folders, out, quick):
    """Rows of the tables."""
    folders = list(map(pathlib.Path, folders))
    read = functools.cache(lambda name: features(by_name[name], out))
    by_name = {folder.name: folder for folder in folders}
    cells = Cells(out / "cells.csv")
    seeds = range(2 if quick else DRAWS)
    tasks = {
        task: METHODS if task.data == folders[0].name else MAIN
        for task in tasks_of(folders)[: 1 if quick else None]
    }
    for works in (of_components, of_views, of_all_features):
        for task, methods in tasks.items():
            l2 = chosen_strength(read, task, seeds, cells)
            for seed in seeds:
                for name, make in works(read, task, seed, l2, methods).items():
                    cells.get((str(task), name, seed), make)
    for task in [task for task in tasks if task in UNREDUCED_ON]:
        parts = upper_layers.activations(by_name[task.data], out)
        train_upper_layers(read, parts, task, seeds, cells)
    yield from rows(tasks, cells.found, seeds)


def rows(tasks, cells, seeds):
    """Rows of the tables, from cells."""
    found = {task: Found(task, cells, seeds) for task in tasks}
    for task, of in found.items():
        yield from summary(task, of)
    for task, of in found.items():
        yield from beside_others(task, of)
    for task in [task for task in tasks if task in UNREDUCED_ON]:
        yield from of_upper_layers(task, found[task], cells)


def of_components(read, task, seed, l2, methods):
    """A function that measures each cell of a draw, on the components."""

    def plain(method):
        return lambda: accuracies(read(task.data), task, seed, l2, method)

    made = {HEAD: plain(None)}
    made |= {name: plain(METHODS[name]) for name in methods}
    for setting in consistency.SETTINGS:
        for k, end in enumerate(("", consistency.AVERAGED)):
            made[f"{setting}{end}"] = lambda setting=setting, k=k: matched(
                read, task, seed, l2, setting
            )[k]
    return made


def of_views(read, task, seed, l2, methods):
    """The same, with strong views of all training pictures."""
    return {
        f"{name}{views}": lambda name=name, views=views: accuracies(
            read(task.data), task, seed, l2, METHODS.get(name), views
        )
        for name, views in AUGMENTED
        if task in AUGMENTED_ON[views]
    }


def of_all_features(read, task, seed, l2, methods):
    """The same on all features, where the library chooses the strength."""
    return {
        f"{name}{UNREDUCED}": lambda name=name: scores(
            every_feature(read(task.data)), unreduced(read, task, seed, name)
        )
        for name in SHARES
        if task in UNREDUCED_ON
    }


def train_upper_layers(read, parts, task, seeds, cells):
    """Measure the training of the upper layers, from the solved heads."""
    classes = int(parts["train"][1].max()) + 1
    layers = functools.cache(lambda: upper_layers.UpperLayers(parts, classes))

    def trained(name, rate, seed):
        draw = drawn(read(task.data), task, seed)
        layers().restart(unreduced(read, task, seed, name), rate)
        shares = numbers_of(SHARES[name], draw)
        return scores(*layers().trained(draw, seed, shares))

    def measure(name, rate, seed):
        key = str(task), TRAINED.format(name, rate), seed
        cells.get(key, lambda: trained(name, rate, seed))

    for seed in seeds[:DRAWS_OF_RATES]:
        for name in SHARES:
            for rate in upper_layers.RATES:
                measure(name, rate, seed)
    for seed in seeds:
        for name in SHARES:
            measure(name, best_rate(task, name, cells.found), seed)


def best_rate(task, name, cells):
    """The learning rate of the best validation accuracy on the first draws."""
    found = Found(task, cells, range(DRAWS_OF_RATES))
    return max(
        upper_layers.RATES,
        key=lambda rate: found.values(TRAINED.format(name, rate), 0).mean(),
    )


def chosen_strength(read, task, seeds, cells):
    """The strength of the least mean cross-entropy of validation pictures."""

    def mean(l2):
        return np.mean(
            [
                cells.get(
                    (str(task), f"ridge {l2:g}", seed),
                    lambda seed=seed: accuracies(
                        read(task.data), task, seed, l2, None
                    ),
                )[2]
                for seed in seeds
            ]
        )

    return min(RIDGES, key=mean)


class Found:
    """Values of the cells of a task, over the seeds."""

    def __init__(self, task, found, seeds):
        self._task, self._found, self._seeds = str(task), found, seeds

    def has(self, name):
        return (self._task, name, self._seeds[-1]) in self._found

    def values(self, name, part=1):
        """Test accuracies; those of validation for the part 0."""
        return np.array(
            [self._found[self._task, name, s][part] for s in self._seeds]
        )

    def best(self, names):
        """The setting of the highest mean accuracy in validation."""
        return max(names, key=lambda name: self.values(name, 0).mean())

    def gain(self, name, base, part=1):
        values = (self.values(each, part) for each in (name, base))
        return str(interval(operator.sub(*values)))


def summary(task, found):
    """A row of each method that was run on a task."""
    shown = {HEAD: HEAD, PSEUDO.format(0.9): PSEUDO.format(0.9)}
    shown[BEST] = found.best(PEERS[LABELS])
    viewed = map("".join, AUGMENTED)
    others = (*METHODS, *viewed, *(f"{x}{UNREDUCED}" for x in SHARES))
    shown |= {
        name: name
        for name in others
        if name not in PEERS[LABELS] and found.has(name)
    }
    for method in (consistency.FIXMATCH, consistency.FLEXMATCH):
        shown[method] = found.best(PEERS[method][::2])
        shown[f"{method}{consistency.AVERAGED}"] = found.best(
            PEERS[method][1::2]
        )
    for title, name in shown.items():
        own = f"{HEAD}{UNREDUCED}"
        base = own if name.endswith(UNREDUCED) and name != own else HEAD
        yield row(
            f"test accuracy, {task}",
            method=title,
            mean=f"{found.values(name).mean():.3f}",
            gain="" if name == HEAD else found.gain(name, base),
        )


def beside_others(task, found):
    """Rows of labels by transport beside other ways to label."""
    for name in OURS:
        yield row(
            "labels by transport minus others, test accuracy",
            task=str(task),
            labels=name.split(",")[0],
            **{
                peer: found.gain(name, found.best(settings))
                for peer, settings in PEERS.items()
            },
        )


def of_upper_layers(task, found, cells):
    """Rows of the training of the upper layers, beside that without others."""
    names = {
        name: TRAINED.format(name, best_rate(task, name, cells))
        for name in SHARES
    }
    for name, own in names.items():
        alone = "" if name == HEAD else found.gain(own, names[HEAD])
        yield row(
            "upper layers trained on these labels, test accuracy",
            **{
                "task": str(task),
                "start": f"{name}{UNREDUCED}",
                "rate": f"{best_rate(task, name, cells):g}",
                "mean": f"{found.values(own).mean():.3f}",
                "over the start": found.gain(own, f"{name}{UNREDUCED}"),
                "the same in validation": found.gain(
                    own, f"{name}{UNREDUCED}", 0
                ),
                "over training on labelled pictures alone": alone,
            },
        )
