"""Tasks of `accuracy` between digits and letters, with small networks."""

import dataclasses
import functools
from typing import Literal

import keras
import numpy as np

from keras_otreg import checks, narrow
from keras_otreg.benchmark.comparison import SOLVED, Natural, Task
from keras_otreg.data import (
    Labelled,
    few_shot,
    letters,
    mnist5k,
    optdigits,
    with_unlabelled,
)
from keras_otreg.experiments import networks
from keras_otreg.experiments.networks import trained_source
from keras_otreg.experiments.problem import Problem, unequal
from keras_otreg.files import written

# Of each class of the target, held out to choose strengths by.
VALIDATION = 25
# Of the target's samples, to inherit weights on where labels are not needed.
UNLABELLED = 500
# Data, and how many classes each has.
Source = Literal["mnist5k", "optdigits", "letters"]
CLASSES = {"mnist5k": 10, "optdigits": 10, "letters": 52}
STUDENTS = {
    "same": "the teacher's network",
    "narrow": "another network, a quarter as wide",
    "thin": "the teacher's layers, a quarter as wide",
}


@dataclasses.dataclass(frozen=True)
class SmallTask(Task):
    """A transfer between digits or letters, with small networks.

    Source and target have all classes, or those from a first to a last one.
    With each batch there are unlabelled samples for methods that use them.
    """

    source: Source = "mnist5k"
    target: Source = "optdigits"
    source_classes: tuple[Natural, ...] = ()
    target_classes: tuple[Natural, ...] = ()
    student: Literal["same", "narrow", "thin"] = "same"
    unlabelled: Natural = 0

    def __post_init__(self):
        for field in ("source", "target"):
            ends = getattr(self, f"{field}_classes")
            known = CLASSES[getattr(self, field)]
            in_order = len(ends) == 2 and ends[0] < ends[1] < known
            if ends and not in_order:
                name = f"{self.name}: {field}_classes"
                raise checks.invalid(
                    "the first and the last class, [first, last], from 0 to "
                    f"{known - 1} and the first below the last; leave it out "
                    "for all",
                    f"{name}={ends!r}",
                    argument=name,
                )
        if self.student != "same" and self.start == SOLVED:
            raise checks.invalid(
                "`start: random` where the student has new weights, on whose "
                "features no head is worth solving",
                f"student: {self.student}",
                argument=self.name,
            )

    @property
    def offers(self) -> tuple[str, ...]:
        """What the task offers of what methods need."""
        offered = [
            "same network" if self.student == "same" else "small network"
        ]
        both_digits = "letters" not in (self.source, self.target)
        if both_digits and self.source_classes == self.target_classes:
            offered.append("same classes")
        return tuple(offered)

    @property
    def about(self) -> str:
        """Description in a sentence."""
        source, target = (
            name + (" {}-{}".format(*classes) if classes else "")
            for name, classes in (
                (self.source, self.source_classes),
                (self.target, self.target_classes),
            )
        )
        more = seen = ""
        if self.unlabelled:
            more = f", {self.unlabelled} unlabelled samples in each step"
        if source == target:
            seen = (
                " The teacher knows the labels of all digits but those of "
                "test, and so of those that strengths are chosen on."
            )
        return (
            f"From {source} to {target}, {self.drawn}{more}. The student is "
            f"{STUDENTS[self.student]}; {self.steps} steps on all labelled "
            f"samples.{seen}"
        )

    def problem(self, seed, folder, data):
        """Prepare the transfer; the source network is kept in a folder."""
        target, test = (
            _of_classes(x, self.target_classes) for x in _data(self.target)
        )
        validation, pool = few_shot(*target, VALIDATION, seed=0)
        common = self.common(seed, pool)
        network, stages = {
            "same": (networks.wide, networks.WIDE_STAGES),
            "narrow": (networks.narrow, networks.NARROW_STAGES),
            "thin": (thin, networks.WIDE_STAGES),
        }[self.student]
        return Problem(
            teacher=_teacher(self, common["settings"], folder),
            student=functools.partial(
                network, common["settings"], int(pool.y.max()) + 1
            ),
            pretrained=self.student == "same",
            validation=validation,
            test=unequal(test, self.ratio),
            places=networks.places(stages),
            batches=functools.partial(_with_unlabelled, self.unlabelled),
            unlabelled=UNLABELLED if self.unlabelled else 0,
            **common,
        )


def thin(settings, classes):
    """The layers of `networks.wide`, a quarter as wide."""
    return narrow(networks.wide(settings, classes), 0.25)


@functools.cache
def _data(name):
    if name == "letters":
        test, train = few_shot(*letters(), per_class=20, seed=0)
        return train, test
    return mnist5k() if name == "mnist5k" else optdigits()


def _of_classes(data, ends):
    """The samples of some classes, which then count from 0."""
    if not ends:
        return data
    first, last = ends
    chosen = (data.y >= first) & (data.y <= last)
    return Labelled(data.x[chosen], data.y[chosen] - first)


def _teacher(task, settings, folder):
    """The source network, trained once for all tasks."""
    name = "-".join(map(str, (task.source, *task.source_classes)))
    path = folder / f"{name}-{settings.source_epochs}-{settings.seed}.keras"
    if not path.exists():
        data = _of_classes(_data(task.source)[0], task.source_classes)
        model = trained_source(data, settings)
        written(path, model.save)
    # Read also where it was just trained: a resumed run sees the same.
    return keras.saving.load_model(path, compile=False)


def _with_unlabelled(unlabelled, few, others, seed, usable):
    if not (unlabelled and usable):
        return None
    return with_unlabelled(
        tuple(few),
        np.asarray(others.x),
        batch_size=len(few.y),
        unlabelled_batch_size=unlabelled,
        seed=seed,
    ).repeat()
