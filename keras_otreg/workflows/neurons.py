"""Neurons of a teacher that a student has re-used or re-assigned."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_otreg.features import capture, samples_as_points
from keras_otreg.losses import RepresentationTransport, TransportAlignment
from keras_otreg.ot.plan import entropy_of

# Of neurons in the report, and of pictures beside each.
ROLES, BEST = 5, 4
# Of the batches that layers are seen on.
BATCH = 32
# Share of a neuron's mass that has to change places for it to be re-assigned.
MOST = 0.5


@dataclasses.dataclass(frozen=True)
class Neurons:
    """Two layers as sets of neurons, and the plan between them.

    The plan has the shape `(teacher neurons, student neurons)`; `before` and
    `after` are activations of teacher and student, `(pictures, neurons)`.
    `own_plan` is the plan between the teacher's layer and itself, where the
    student began as a copy of the teacher; else `None`.
    """

    at: str
    teacher_at: str
    before: np.ndarray
    after: np.ndarray
    plan: np.ndarray
    own_plan: np.ndarray | None = None

    @property
    def same(self) -> bool:
        """Whether the student began as a copy of the teacher."""
        return self.own_plan is not None

    @property
    def shift(self) -> np.ndarray:
        """Share of each neuron's mass that training has moved elsewhere.

        It is the total variation between its row of the plan and its row of
        the unchanged network's own plan, which may be blurred itself.
        """
        change = _shares(self.plan) - _shares(self.own_plan)
        return 0.5 * np.abs(change).sum(axis=1)

    @property
    def partners(self) -> np.ndarray:
        """The student's main partner of each neuron of the teacher."""
        if not self.same:
            return self.plan.argmax(axis=1)
        gain = _shares(self.plan) - _shares(self.own_plan)
        own = np.arange(len(self.plan))
        return np.where(self.shift > MOST, gain.argmax(axis=1), own)

    @property
    def shares(self) -> np.ndarray:
        """Share of each neuron's mass that goes to its partner."""
        rows = np.arange(len(self.plan))
        return _shares(self.plan)[rows, self.partners]

    @property
    def silent(self) -> np.ndarray:
        """Neurons of the teacher with the same activation on all pictures."""
        return self.before.std(axis=0) < 1e-6

    @property
    def kept(self) -> np.ndarray:
        """Neurons that kept the role of the teacher's neuron."""
        if not self.same:
            return np.zeros(len(self.plan), bool)
        return (self.shift <= MOST) & ~self.silent

    @property
    def moved(self) -> np.ndarray:
        """Neurons whose role another neuron took over."""
        return ~self.kept & ~self.silent

    @property
    def entropy(self) -> float:
        """Entropy of the plan: 0 for a matching, 1 for a uniform one."""
        return float(entropy_of(keras.ops.convert_to_tensor(self.plan)))

    def roles(self, which: np.ndarray) -> list[dict[str, Any]]:
        """Some of the neurons where `which` is true, most varied first.

        For each there is the `neuron`, its `partner` in the student, the
        `share` that goes there, and rows of the pictures with the largest
        activations of the neuron (`was`) and of its partner (`is_now`).
        """
        spread = np.where(which, self.before.std(axis=0) * self.shares, -1.0)
        rows = np.argsort(-spread, kind="stable")[:ROLES]
        return [
            {
                "neuron": int(row),
                "partner": int(self.partners[row]),
                "share": float(self.shares[row]),
                "was": _largest(self.before[:, row]),
                "is_now": _largest(self.after[:, self.partners[row]]),
            }
            for row in rows
            if which[row]
        ]


def _largest(activations):
    """Rows of the pictures with the largest activations of a neuron."""
    return np.argsort(-activations, kind="stable")[:BEST].tolist()


def _shares(plan):
    """Rows that sum to 1, or are 0 where a neuron has no mass."""
    total = plan.sum(axis=1, keepdims=True)
    return plan / np.where(total > 0.0, total, 1.0)


def mean_activations(
    model: keras.Model, pictures: np.ndarray, paths: Sequence[str]
) -> list[np.ndarray]:
    """Activations of each layer, `(pictures, neurons)`, maps averaged."""
    parts = []
    for start in range(0, len(pictures), BATCH):
        seen = pictures[start : start + BATCH]
        _, found = capture(model, seen, paths, training=False)
        points = [samples_as_points(found[path]) for path in paths]
        parts.append([keras.ops.convert_to_numpy(x) for x in points])
    return [np.concatenate(x) for x in zip(*parts, strict=True)]


def neurons(
    teacher: keras.Model,
    student: keras.Model,
    pictures: np.ndarray,
    place: Sequence[str],
    loss: Any,
    same: bool,
) -> Neurons:
    """Compare the neurons of two layers on pictures.

    `place` has the paths of the student's layer and of the teacher's; the
    plan is that of the loss, if it has one. `same` tells whether the student
    began as a copy of the teacher.
    """
    at, teacher_at = place
    planned = isinstance(loss, (RepresentationTransport, TransportAlignment))
    loss = loss if planned else RepresentationTransport()
    (before,) = mean_activations(teacher, pictures, [teacher_at])
    (after,) = mean_activations(student, pictures, [at])
    plans = [
        keras.ops.convert_to_numpy(loss.plan(before, x))
        for x in ((after, before) if same else (after,))
    ]
    return Neurons(at, teacher_at, before, after, *plans)
