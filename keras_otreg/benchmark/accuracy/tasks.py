"""Tasks of a comparison."""

import dataclasses

import numpy as np

from keras_otreg import checks
from keras_otreg.experiments.methods import NEEDS

# Data, and how many classes each has.
SOURCES = {"mnist5k": 10, "optdigits": 10, "letters": 52}
STUDENTS = {
    "same": "the teacher's network",
    "narrow": "another network, a quarter as wide",
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """Settings of every task.

    Attributes:
        name: Under which the results are kept.
        labels: Labelled samples of each class.
        steps: Steps of each training.
        learning_rate: Of each training, by Adam.
        seeds: How many of the protocol's seeds to train with; all if not
            given.
        draws: Likewise, draws of labels that strengths are chosen by.
        methods: Names of the methods to compare; all if there are none.
        quick: Whether it is part of a quick run.
    """

    name: str
    labels: int
    steps: int = 150
    learning_rate: float = 1e-3
    seeds: int | None = None
    draws: int | None = None
    methods: tuple[str, ...] = ()
    quick: bool = False

    def __post_init__(self):
        checks.count(self.labels, f"{self.name}: labels")
        checks.count(self.steps, f"{self.name}: steps")
        checks.positive(self.learning_rate, f"{self.name}: learning_rate")
        for field in ("seeds", "draws"):
            if getattr(self, field) is not None:
                checks.count(getattr(self, field), f"{self.name}: {field}")
        methods = f"{self.name}: methods"
        checks.instance_of(self.methods, tuple, methods, "a list of names")
        checks.flag(self.quick, f"{self.name}: quick")

    def check_labels(self, y: np.ndarray) -> None:
        """Raise if a class has fewer samples than are to be labelled."""
        smallest = int(np.unique(y, return_counts=True)[1].min())
        checks.number(
            self.labels,
            f"{self.name}: labels",
            expected="a whole number from 1 to the size of the smallest class "
            f"of the data to train on, {smallest}",
            valid=lambda x: x <= smallest,
        )


@dataclasses.dataclass(frozen=True)
class SmallTask(Entry):
    """A transfer between digits or letters, with small networks.

    Attributes:
        source: Data of the teacher, one of `SOURCES`.
        target: Data of the student, one of `SOURCES`.
        source_classes: First and last class of the source; all if not given.
        target_classes: Likewise of the target.
        student: `"same"`, which starts as the teacher, or `"narrow"`: another
            network, a quarter as wide, which starts from nothing.
        unlabelled: Unlabelled samples in each batch, for methods that can
            use them.
    """

    source: str = "mnist5k"
    target: str = "optdigits"
    source_classes: tuple[int, ...] = ()
    target_classes: tuple[int, ...] = ()
    student: str = "same"
    unlabelled: int = 0

    def __post_init__(self):
        super().__post_init__()
        checks.one_of(self.source, SOURCES, f"{self.name}: source")
        checks.one_of(self.target, SOURCES, f"{self.name}: target")
        checks.one_of(self.student, STUDENTS, f"{self.name}: student")
        for field in ("source", "target"):
            ends = getattr(self, f"{field}_classes")
            known = SOURCES[getattr(self, field)]
            name = f"{self.name}: {field}_classes"
            _check_ends(ends, known, name)
        if self.unlabelled:
            checks.count(self.unlabelled, f"{self.name}: unlabelled")

    @property
    def offers(self) -> tuple[str, ...]:
        """Those of `NEEDS` that it has."""
        both_digits = "letters" not in (self.source, self.target)
        same_classes = both_digits and (
            self.source_classes == self.target_classes
        )
        offered = (self.student == "same", same_classes)
        return tuple(x for x, has in zip(NEEDS, offered, strict=True) if has)

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
        student = STUDENTS[self.student]
        more = f", {self.unlabelled} unlabelled samples in each step"
        seen = (
            " The teacher knows the labels of all digits but those of test, "
            "and so of those that strengths are chosen on."
        )
        return (
            f"From {source} to {target}, {self.labels} labels a class"
            f"{more if self.unlabelled else ''}. The student is {student}; "
            f"{self.steps} steps on all labelled samples."
            f"{seen if source == target else ''}"
        )


@dataclasses.dataclass(frozen=True)
class FolderTask(Entry):
    """A transfer from ImageNet to a folder of pictures.

    Attributes:
        image_size: Height and width of the pictures.
        batch_size: Pictures in a batch.
        frozen_to: Name of the last layer of the frozen lower stages, which
            run once for each picture and its mirror image; without it, all
            layers are trained.
    """

    image_size: int = 128
    batch_size: int = 32
    frozen_to: str | None = None

    def __post_init__(self):
        super().__post_init__()
        checks.count(self.image_size, f"{self.name}: image_size")
        checks.count(self.batch_size, f"{self.name}: batch_size")
        if self.frozen_to is not None:
            checks.layer_path(self.frozen_to, f"{self.name}: frozen_to")

    @property
    def offers(self) -> tuple[str, ...]:
        """Those of `NEEDS` that it has."""
        return ("same network",)

    @property
    def about(self) -> str:
        """Description in a sentence."""
        regime = "Full fine-tuning"
        if self.frozen_to is not None:
            regime = (
                f"Upper stages only: up to {self.frozen_to} all is frozen and "
                "computed once for each picture and its mirror image"
            )
        return (
            "From ImageNet, by EfficientNet-Lite0, to pictures of "
            f"{self.image_size} pixels, {self.labels} labels a class. "
            f"{regime}; batch normalisation stays in inference mode; "
            f"{self.steps} steps of {self.batch_size} pictures."
        )


def _check_ends(ends, known, name):
    """Raise unless given the first and the last of some classes, or none."""
    kinds = [type(x) for x in ends] if isinstance(ends, tuple) else [None]
    if kinds and (kinds != [int, int] or not 0 <= ends[0] < ends[1] < known):
        raise checks.invalid(
            f"the first and the last class, [first, last], from 0 to "
            f"{known - 1} and the first below the last; leave it out for all",
            f"{name}={ends!r}",
            argument=name,
        )
