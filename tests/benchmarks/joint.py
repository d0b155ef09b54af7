"""Joint transfer: many ways to use source data of other classes, few labels."""

import csv
import functools
import pathlib
import time
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from joint_tasks import Task, letters_to_digits, pictures
from results import row

import keras_otreg as otreg
from keras_otreg import class_costs
from keras_otreg.data.batches import batches_of
from keras_otreg.experiments.statistics import interval

ABOUT = """\
*Grocery*: photographs of 15 kinds of fruit and vegetables, with 5 or 10 \
labels each, beside all photographs of 15 other kinds (of the sorted names, \
every second is a target). The network is EfficientNet-Lite0 with ImageNet's \
weights at 128 x 128; its last convolution and the heads are trained, the \
rest is frozen. *Digits*: 5 labels of each of MNIST's digits beside printed \
letters, with the small network of the demo, all of it trained, from scratch \
in "target only" and "joint".

"Source" is the network after training on the source. In the other rows JTLN, \
the frozen head and shares start from ImageNet's weights on photographs, and \
from the network trained on letters on digits. All heads, of the target and \
of the source, start as solved by `solve_head`, all methods have the same \
steps, rate and draws. The numbers of steps and the strength and direction of \
the frozen head were settled in trial runs, some of them on draws that are \
reported here. Costs are \
scaled to a largest value of 1; "words" compares the words and groups of \
three letters of the names, "last words" whether the last words are the same, \
"glyphs" printed digits and letters. The frozen head is ImageNet's, or that \
of the letters, and moves the shared layers (`gradient_to="source"`). Shares \
are those of `class_costs.shares` with its defaults. Unlabelled samples are \
the other training samples of the target. Source variation: the head is solved \
with `source=`, at the strength that suits the labelled samples alone, by \
default costs, by these in random order of the source classes (the mean of \
{orders} orders) or by equal ones; or with the labelled samples as the source; \
before any training, or after that of the start on the target. That it brings \
something was seen in test accuracies of these draws before it was built.

In the *mixed source* all 10 classes of clothing-small join the source: \
photographs of clothes beside those of groceries, and these pictures small, \
grey and light on dark beside the letters. That the plan counts there was \
seen in test accuracies of these draws before the tables were made.

Test accuracy, mean and standard deviation over {draws} draws; gains are \
paired, with 95 % intervals. *Consecutive* is "source, then target"; \
*control* is the same method with a random cost or order of \
shares, for both kinds of frozen head the conditional with its source classes \
in random order, and among pieces the method as it is. All classes alike are \
compared with the variation of the labelled samples, and in a mixed source \
with source variation."""
CELLS, LOSS = "cells.csv", "sparse_categorical_crossentropy"
DRAWS = 8
# Random orders of the source classes, over which an accuracy is averaged.
ORDERS = 4
BATCH, AT = 32, "features"
ALONE, CONSECUTIVE, JOINT = "target only", "source, then target", "joint"
WEIGHT, TOWARDS = 1.0, "source"
START, SOURCE = "start", "source"
DIGITS = "digits, 5 labels per class"
MIXED = ", mixed source"


class Method(NamedTuple):
    """A way to train: from which weights, beside what, tied by what."""

    name: str
    start: str = START
    # "none" for target data alone, else how source classes are drawn.
    source: str = "none"
    cost: str = ""
    relation: str = ""
    control: str = ""
    options: tuple = ()

    @property
    def kind(self) -> str:
        """Which kind of model is trained."""
        if self.relation:
            return "frozen"
        return "plain" if self.source == "none" else "joint"

    @property
    def is_tied(self) -> bool:
        """Whether transport ties the two heads."""
        return bool(self.cost) and self.source == "all"


def jtln(cost, start, name="JTLN", **options):
    control = "" if cost == "random" else f"{name}, random"
    title = f"{name}, {cost}"
    return Method(
        title, start, "all", cost, "", control, tuple(options.items())
    )


def frozen(relation, start, **options):
    control = "" if "random" in relation else "frozen head, random conditional"
    return Method(
        f"frozen head, {relation}",
        *(start, "none", "", relation, control),
        tuple(options.items()),
    )


def shares(kind, start):
    control = {"plan": "joint, shares of the plan in random order"}
    names = {
        "plan": "joint, shares of the plan",
        "equal": "joint, equal shares",
        "random": control["plan"],
    }
    return Method(names[kind], start, kind, "mkmmd", "", control.get(kind, ""))


def variation(kind, start):
    """A head that is solved with how samples of the source vary."""
    names = {
        "near": "source variation",
        "random": "source variation, classes in random order",
        "equal": "source variation, all classes alike",
        "own": "variation of the labelled samples",
    }
    control = {"near": names["random"], "equal": names["own"]}
    options = (("steps", 0), ("variation", kind))
    return Method(
        names[kind], start, control=control.get(kind, ""), options=options
    )


def methods_of(task: Task) -> list[Method]:
    """The rows of the table of a task."""
    tied = task.tied
    costs = ["mkmmd", "transport", *task.embeddings, "random"]
    relations = ("plan", "conditional", "random conditional")
    # They cost the most: on the smaller task alone.
    unlabelled = ("mkmmd", "random") if tied == SOURCE else ()
    return [
        Method("solved head only", options=(("steps", 0),)),
        Method(ALONE),
        Method(CONSECUTIVE, SOURCE),
        Method(JOINT, START, "all"),
        Method("source, then joint", SOURCE, "all"),
        *(jtln(cost, tied) for cost in costs),
        *(frozen(x, tied) for x in relations),
        *(shares(x, tied) for x in ("plan", "equal", "random")),
        *(variation(x, tied) for x in ("near", "random", "equal", "own")),
        Method(
            "training, then source variation",
            tied,
            options=(("variation", "near"),),
        ),
        *(
            jtln(cost, tied, "JTLN with unlabelled samples", unlabelled=True)
            for cost in unlabelled
        ),
    ]


def methods_of_mixed(task: Task) -> list[Method]:
    """The methods that choose source classes, and those to compare with."""
    names = {
        "solved head only",
        ALONE,
        CONSECUTIVE,
        "joint, shares of the plan",
        "joint, equal shares",
        "joint, shares of the plan in random order",
        "JTLN, mkmmd",
        "JTLN, random",
    }
    alike = variation("equal", task.tied).name
    return [
        method._replace(control=variation("near", task.tied).name)
        if method.name == alike
        else method
        for method in methods_of(task)
        if method.name in names or "variation" in dict(method.options)
    ]


PIECES = {
    "gradient to the source": {"gradient_to": "source"},
    "gradient to the target": {"gradient_to": "target"},
    "relaxed marginals": {"rho": 0.5},
    "epsilon 0.02": {"epsilon": 0.02},
    "sharpened cost": {"kappa": 5.0},
    "weight 0 half-way": {"falls": True},
    "cost computed again half-way": {"refresh": True},
}
PIECES_OF_FROZEN = {
    "gradient to the target": {"gradient_to": "target"},
    "gradient to both": {"gradient_to": "both"},
    "weight 3": {"weight": 3.0},
}


def pieces_of(task: Task) -> list[Method]:
    """Variants of JTLN with MK-MMD costs, and of the frozen head."""
    tied = task.tied
    reference = jtln("mkmmd", tied)
    found = [Method(CONSECUTIVE, SOURCE), reference]
    found += [
        jtln("mkmmd", tied, **options)._replace(
            name=f"JTLN, {name}", control=reference.name
        )
        for name, options in PIECES.items()
    ]
    reference = frozen("plan", tied)
    found.append(reference._replace(control=""))
    found += [
        frozen("plan", tied, **options)._replace(
            name=f"{reference.name}, {name}", control=reference.name
        )
        for name, options in PIECES_OF_FROZEN.items()
    ]
    return found


class VariableCosts(otreg.losses.ClassTransport):
    """Costs that may change between trainings of one compiled model."""

    def __init__(self, shape, options):
        super().__init__(
            np.ones(shape), options.get("epsilon", 0.1), rho=options.get("rho")
        )
        self.variable = tf.Variable(np.ones(shape, "float32"))

    def assign(self, costs):
        """Takes costs; returns their mean, the unit of the value."""
        self.variable.assign(costs / costs.mean())
        return costs.mean()

    def _problem(self, source, target):
        problem, scale, _ = super()._problem(source, target)
        C = tf.convert_to_tensor(self.variable)
        return problem._replace(C=C), scale, False


class VariableConditional(otreg.losses.ClassConditional):
    """A conditional that may change between trainings."""

    def __init__(self, shape):
        super().__init__(np.full(shape, 1.0 / shape[0]))
        self.variable = tf.Variable(self.conditional.astype("float32"))

    def assign(self, conditional):
        """Takes a conditional; its value has no unit."""
        self.variable.assign(conditional)
        return 1.0

    def _parts(self, source, target):
        target, _ = super()._parts(source, target)
        return target, tf.convert_to_tensor(self.variable)


class Learner:
    """A compiled model, which starts anew for each draw.

    To make and to trace a model takes longer than to train it.
    """

    def __init__(self, task: Task, method: Method):
        options = dict(method.options)
        body = task.body()
        sizes = len(task.source_names), len(task.target_names)
        head = keras.layers.Dense(sizes[1], activation="softmax", name="head")
        self.student = keras.Model(body.input, head(body.output))
        self.body, self.head, self.source_task = body, head, None
        self.model = self.student
        if method.kind != "plain":
            self.source_task = self._source_task(task, method, sizes, options)
            self.model = otreg.TransferModel(
                self.student, source_task=self.source_task
            )
        self.model.compile(
            keras.optimizers.Adam(task.rate),
            LOSS,
            jit_compile=False,
            steps_per_execution=10,
        )
        self.model.optimizer.build(self.model.trainable_variables)

    def _source_task(self, task, method, sizes, options):
        to = options.get("gradient_to", "both")
        if method.relation:
            made = frozen_task(task, task.source_sample(), method)
            shape = made.transport.classes[0], sizes[1]
            made.gradient_to = options.get("gradient_to", TOWARDS)
            made.transport = (
                VariableCosts(shape, options)
                if method.relation == "plan"
                else VariableConditional(shape)
            )
            return made
        source_head = keras.layers.Dense(sizes[0], activation="softmax")
        transport = VariableCosts(sizes, options) if method.is_tied else None
        return otreg.SourceTask(
            source_head, AT, LOSS, transport=transport, gradient_to=to
        )

    def restart(self, weights, head_weights, source_head_weights):
        """Gives the model weights, and a new optimizer."""
        self.body.set_weights(weights)
        self.head.set_weights(head_weights)
        for variable in self.model.optimizer.variables:
            if "learning_rate" not in variable.path:
                variable.assign(np.zeros(variable.shape))
        if self.source_task is not None and source_head_weights is not None:
            self.source_task.head.set_weights(source_head_weights)


def frozen_task(task, few, method):
    """The source task of a pretrained head, for some labelled samples."""
    return otreg.SourceTask.frozen(
        task.teacher(),
        *(AT, (few.x, few.y)),
        relation=method.relation.split()[-1],
    )


class Bench:
    """Trainings on one task."""

    def __init__(self, task: Task):
        self.task = task
        self._learners: dict[Any, Learner] = {}
        self._heads: dict[Any, Any] = {}

    def accuracy(self, method: Method, seed: int) -> float:
        """Test accuracy after training by a method on a draw of labels."""
        task, options = self.task, dict(method.options)
        few, others = otreg.data.few_shot(*task.pool, task.shots, seed)
        # One compiled model serves all ways to end with a solved head.
        trained = {k: v for k, v in options.items() if k != "variation"}
        key = method.kind, method.is_tied, method.relation.split()[-1:], trained
        learner = self._learners.get(str(key))
        if learner is None:
            learner = self._learners[str(key)] = Learner(task, method)
        keras.utils.set_random_seed(seed)
        weights, source_head = task.weights(method.start, seed)
        head = self._head(learner, weights, few, (method.start, seed))
        is_beside = method.kind == "joint"
        learner.restart(weights, head, source_head if is_beside else None)
        shares = self._prepared(learner, method, few, seed)
        data = batches_of(tuple(few), "target", {"batch_size": BATCH}, seed)
        if options.get("unlabelled"):
            data = otreg.data.with_unlabelled(
                tuple(few), others.x, batch_size=BATCH, seed=seed
            )
        if is_beside:
            data = otreg.data.paired(
                data,
                tuple(task.source),
                source_batch_size=BATCH,
                source_shares=shares,
                seed=seed,
            )
        self._fit(learner, method, data, few, seed)
        if "variation" not in options:
            return self._tested(learner)
        heads = self._varied(learner, options["variation"], few, seed)
        return float(np.mean([self._tested(learner) for _ in heads]))

    def _tested(self, learner):
        """Test accuracy of a learner."""
        test = self.task.test
        labels = outputs(learner.student, test.x).argmax(axis=1)
        return float(np.mean(labels == test.y))

    def _fit(self, learner, method, data, few, seed):
        options = dict(method.options)
        steps = options.get("steps", self.task.steps)
        halves = 2 if options.get("refresh") or options.get("falls") else 1
        for half in range(halves if steps else 0):
            if half and options.get("falls"):
                learner.source_task.transport_weight = 0.0
            elif half:
                self._prepared(learner, method, few, seed)
            learner.model.fit(
                data.repeat(), steps_per_epoch=steps // halves, verbose=0
            )

    def _varied(self, learner, kind, few, seed):
        """Solves the head with the variation of the source, or of the few.

        In random order it does so for several orders, one after the other.
        """
        source = few if kind == "own" else self.task.source_sample()
        parts = [(outputs(learner.body, d.x), d.y) for d in (source, few)]
        costs = class_costs.centroid(*parts[0], *parts[1])
        found = [np.ones_like(costs) if kind == "equal" else costs]
        if kind == "random":
            rngs = [np.random.default_rng((seed, k)) for k in range(ORDERS)]
            found = [rng.permutation(costs) for rng in rngs]
        for each in found:
            otreg.solve_head(
                learner.student, *few, source=tuple(source), source_costs=each
            )
            yield

    def _head(self, learner, weights, few, key):
        """Weights of a solved head for the target."""
        if key not in self._heads:
            learner.body.set_weights(weights)
            learner.head.set_weights(
                [0.0 * x for x in learner.head.get_weights()]
            )
            otreg.solve_head(learner.student, *few)
            self._heads[key] = learner.head.get_weights()
        return self._heads[key]

    def _prepared(self, learner, method, few, seed):
        """Sets the costs of a learner; returns shares for source classes."""
        options, made = dict(method.options), learner.source_task
        if method.relation:
            own = frozen_task(self.task, few, method)
            relation = own.transport
            learner.source_task.head.set_weights(own.head.get_weights())
            if method.relation == "plan":
                found = relation.cost_matrix
            else:
                found = relation.conditional
            if method.relation.startswith("random"):
                found = np.random.default_rng(seed).permutation(found)
            unit = made.transport.assign(found)
            made.transport_weight = unit * options.get("weight", WEIGHT)
        if not method.cost:
            return None
        costs = self._costs(learner, method.cost, few, seed)
        if method.source in ("plan", "equal", "random"):
            return self._shares(method.source, costs, seed)
        if "kappa" in options:
            costs = class_costs.sharpen(costs, options["kappa"])
        unit = made.transport.assign(costs)
        made.transport_weight = unit * options.get("weight", 1.0)
        return None

    def _costs(self, learner, kind, few, seed):
        """Costs between the classes, scaled to a largest value of 1."""
        task = self.task
        if kind == "random":
            sizes = len(task.source_names), len(task.target_names)
            return class_costs.random(*sizes, seed)
        if kind in task.embeddings:
            return class_costs.normalise(task.embeddings[kind])
        some = task.source_sample()
        features = [(outputs(learner.body, d.x), d.y) for d in (some, few)]
        found = getattr(class_costs, kind)(*features[0], *features[1])
        return class_costs.normalise(found)

    def _shares(self, kind, costs, seed):
        found = class_costs.shares(costs)
        if kind == "random":
            found = np.random.default_rng(seed).permutation(found)
        return np.ones(len(costs)) if kind == "equal" else found


def outputs(network, x):
    """What a network returns."""
    return np.concatenate(
        [
            keras.ops.convert_to_numpy(network(x[k : k + 512], training=False))
            for k in range(0, len(x), 512)
        ]
    )


class Cells:
    """Accuracies by task, method and draw, in a file that grows."""

    def __init__(self, folder: pathlib.Path):
        self.path = pathlib.Path(folder) / CELLS
        self.found: dict[tuple[str, str, int], float] = {}
        if self.path.exists():
            with self.path.open(newline="") as file:
                for task, method, draw, value, _ in csv.reader(file):
                    self.found[task, method, int(draw)] = float(value)

    def add(self, key, value, seconds):
        self.found[key] = value
        with self.path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(
                [*key, f"{value:.5f}", f"{seconds:.1f}"]
            )

    def of(self, task, method):
        """Accuracies of a method by draw."""
        keys = [(task, method, draw) for draw in range(DRAWS)]
        return {key[2]: self.found[key] for key in keys if key in self.found}


def measured(options, title, task, methods_of, heading=None):
    """Train what is missing, draw by draw; return the rows of the table."""
    cells, bench = Cells(options.out), Bench(task())
    methods = methods_of(bench.task)
    for seed in range(2 if options.quick else DRAWS):
        for method in methods:
            key = title, method.name, seed
            if key not in cells.found:
                begin = time.perf_counter()
                value = bench.accuracy(method, seed)
                cells.add(key, value, time.perf_counter() - begin)
    return table(title, heading or title, methods, cells)


def table(title, heading, methods, cells):
    """A row for each method, with paired gains."""
    for method in methods:
        own = cells.of(title, method.name)
        values = np.array([*own.values()])
        columns = {"accuracy": f"{values.mean():.3f} ± {values.std():.3f}"}
        others = {"target only": ALONE, "consecutive": CONSECUTIVE}
        for name, other in {**others, "control": method.control}.items():
            columns[f"over {name}"] = gain(own, cells.of(title, other))
        yield row(heading, method=method.name, **columns)


def gain(own, other):
    """The mean gain over another method, with its interval, if there is one."""
    both = sorted(own.keys() & other.keys())
    if not both or own == other:
        return ""
    return str(interval(np.array([own[d] - other[d] for d in both])))


def about():
    """What the tables show."""
    return ABOUT.format(draws=DRAWS, orders=ORDERS)


def parts(options):
    """The tasks, each with its table."""
    digits = functools.cache(letters_to_digits)
    unrelated = options.unrelated
    tasks = {"digits-5": (DIGITS, digits, methods_of)}
    if unrelated is not None:
        task = functools.partial(letters_to_digits, unrelated)
        tasks["digits-mixed"] = f"{DIGITS}{MIXED}", task, methods_of_mixed
    if options.data is not None:
        for shots in (5, 10):
            title = f"grocery, {shots} labels per class"
            args = options.data, options.out, shots
            task = functools.partial(pictures, *args)
            tasks[f"grocery-{shots}"] = title, task, methods_of
            if unrelated is not None:
                task = functools.partial(pictures, *args, unrelated)
                name, title = f"grocery-{shots}-mixed", f"{title}{MIXED}"
                tasks[name] = title, task, methods_of_mixed
    heading = "pieces of the method, digits"
    tasks["pieces"] = DIGITS, digits, pieces_of, heading
    return {
        name: functools.partial(measured, options, *each)
        for name, each in tasks.items()
    }
