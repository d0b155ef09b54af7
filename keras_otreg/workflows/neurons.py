"""Which neurons of a teacher a student has kept, and which it has moved."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_otreg.losses import RepresentationTransport
from keras_otreg.losses.transport_alignment import TransportAlignment
from keras_otreg.ot.plan import entropy_of
from keras_otreg.workflows.answers import answers

# Of neurons in the report, and of pictures beside each.
ROLES, BEST = 5, 4


@dataclasses.dataclass(frozen=True)
class Neurons:
    """Two layers as sets of neurons, and the plan between them.

    Attributes:
        at: Path of the student's layer.
        teacher_at: Path of the teacher's.
        plan: Of shape `(teacher neurons, student neurons)`.
        before: What the teacher's neurons answer, `(pictures, neurons)`.
        after: What the student's do.
        same: Whether neuron `i` of the student began as the teacher's `i`.
    """

    at: str
    teacher_at: str
    plan: np.ndarray
    before: np.ndarray
    after: np.ndarray
    same: bool

    @property
    def partners(self) -> np.ndarray:
        """The student's neuron that each of the teacher's goes to most."""
        return self.plan.argmax(axis=1)

    @property
    def shares(self) -> np.ndarray:
        """How much of it goes there."""
        total = self.plan.sum(axis=1)
        return self.plan.max(axis=1) / np.where(total > 0.0, total, 1.0)

    @property
    def silent(self) -> np.ndarray:
        """Neurons of the teacher that answer to all pictures alike."""
        return self.before.std(axis=0) < 1e-6

    @property
    def kept(self) -> np.ndarray:
        """Neurons that are still what their teacher's neuron was."""
        here = self.partners == np.arange(len(self.plan))
        return here & ~self.silent if self.same else np.zeros_like(here)

    @property
    def moved(self) -> np.ndarray:
        """Neurons whose role another neuron has now."""
        return ~self.kept & ~self.silent

    @property
    def entropy(self) -> float:
        """How blurred the plan is: 0 for a matching, 1 for a uniform one."""
        return float(entropy_of(keras.ops.convert_to_tensor(self.plan)))

    def roles(self, which: np.ndarray) -> list[dict[str, Any]]:
        """Some neurons, with the pictures that they answer to most.

        Args:
            which: Whether each neuron of the teacher may be among them.

        Returns:
            For each the `neuron`, its `partner` in the student, the `share`
            that goes there, and rows of pictures: those that it answered to
            (`was`), and those that its partner answers to (`is_now`).
        """
        spread = np.where(which, self.before.std(axis=0) * self.shares, -1.0)
        rows = np.argsort(-spread, kind="stable")[:ROLES]
        return [self._role(int(row)) for row in rows if which[row]]

    def _role(self, neuron):
        partner = int(self.partners[neuron])
        return {
            "neuron": neuron,
            "partner": partner,
            "share": float(self.shares[neuron]),
            "was": best(self.before[:, neuron]),
            "is_now": best(self.after[:, partner]),
        }


def best(answers: np.ndarray) -> list[int]:
    """The pictures with the largest answers of a neuron."""
    return np.argsort(-answers, kind="stable")[:BEST].tolist()


def neurons(
    teacher: keras.Model,
    student: keras.Model,
    pictures: np.ndarray,
    place: Sequence[str],
    loss: Any,
    same: bool,
) -> Neurons:
    """Sees the neurons of two layers on some pictures.

    Args:
        teacher: The network that was learnt from.
        student: The one that has learnt.
        pictures: Of shape `(pictures, height, width, channels)`.
        place: Paths of the student's layer and of the teacher's.
        loss: The loss between them; its plan counts if it has one.
        same: Whether the student began as a copy of the teacher.

    Returns:
        The `Neurons`.
    """
    at, teacher_at = place
    planned = isinstance(loss, (RepresentationTransport, TransportAlignment))
    loss = loss if planned else RepresentationTransport()
    (before,) = answers(teacher, pictures, [teacher_at])
    (after,) = answers(student, pictures, [at])
    plan = keras.ops.convert_to_numpy(loss.plan(before, after))
    return Neurons(at, teacher_at, plan, before, after, same)
