"""Neurons of a teacher that a student has re-used or re-assigned."""

from typing import Any

import keras
import numpy as np

from keras_otreg.features import capture, samples_as_points
from keras_otreg.losses import RepresentationTransport, TransportAlignment
from keras_otreg.ot.plan import entropy_of
from keras_otreg.plots.matrices import row_shares

# Of neurons in the report, and of pictures beside each.
ROLES, BEST = 5, 4
# Of the batches that layers are seen on.
BATCH = 32
# Share of a neuron's mass that has to change places for it to be re-assigned.
MOST = 0.5


def mean_activations(model, pictures, paths):
    """Activations of each layer, `(pictures, neurons)`, maps averaged."""
    parts = []
    for start in range(0, len(pictures), BATCH):
        seen = pictures[start : start + BATCH]
        _, found = capture(model, seen, paths, training=False)
        points = [samples_as_points(found[path]) for path in paths]
        parts.append([keras.ops.convert_to_numpy(x) for x in points])
    return [np.concatenate(x) for x in zip(*parts, strict=True)]


class Neurons:
    """Two layers as sets of neurons, and the plan between them.

    `before` and `after` are activations `(pictures, neurons)`. The plan is that
    of the loss, if it has one. By `same` the student began as a copy of the
    teacher. A neuron of the teacher has a main partner, to which a share of its
    mass goes. It is silent, kept, or moved.
    """

    def __init__(self, teacher, student, pictures, place, loss, same):
        planned = isinstance(
            loss, (RepresentationTransport, TransportAlignment)
        )
        loss = loss if planned else RepresentationTransport()
        self.same, (self.at, self.teacher_at) = same, place
        (before,) = mean_activations(teacher, pictures, [self.teacher_at])
        (after,) = mean_activations(student, pictures, [self.at])
        plan = keras.ops.convert_to_numpy(loss.plan(before, after))
        self.before, self.after, self.plan = before, after, plan
        self.entropy = float(entropy_of(keras.ops.convert_to_tensor(plan)))
        shares, rows = row_shares(plan), np.arange(len(plan))
        partners, is_own = plan.argmax(axis=1), np.zeros(len(plan), bool)
        if same:
            # The plan of the unchanged network with itself may be blurred, too.
            own = keras.ops.convert_to_numpy(loss.plan(before, before))
            change = shares - row_shares(own)
            is_own = 0.5 * np.abs(change).sum(axis=1) <= MOST
            partners = np.where(is_own, rows, change.argmax(axis=1))
        self.partners, self.shares = partners, shares[rows, partners]
        self.silent = before.std(axis=0) < 1e-6
        self.kept, self.moved = is_own & ~self.silent, ~is_own & ~self.silent

    def roles(self, which: np.ndarray) -> list[dict[str, Any]]:
        """Some neurons, and pictures where each `was` largest and `is_now`."""
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
