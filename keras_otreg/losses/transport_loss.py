"""Base class of losses that solve a transport problem."""

from typing import Any

import keras

from keras_otreg.losses.described_loss import DescribedLoss
from keras_otreg.losses.solved_plan import SolvedPlan


class TransportLoss(DescribedLoss):
    """A Keras loss with a `solver`, which describes itself in full."""

    solver: Any

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that all transport losses take."""
        solver = keras.saving.serialize_keras_object(self.solver)
        return {**super().get_config(), "solver": solver}

    def memory(
        self, teacher: tuple[Any, ...], student: tuple[Any, ...]
    ) -> keras.layers.Layer | None:
        """Make the state that the loss keeps between training steps.

        Args:
            teacher: Shape of the teacher's activations.
            student: Shape of the student's activations.

        Returns:
            A built layer for a `TransferModel` to hold and to save, or `None`
            if the loss has no use for one.
        """
        return None

    def solved(
        self,
        teacher: Any,
        student: Any,
        sample_weight: Any = None,
        memory: Any = None,
    ) -> SolvedPlan | None:
        """The plan behind the value, for people to look at.

        Args:
            teacher: What the loss takes as `y_true`.
            student: What the loss takes as `y_pred`.
            sample_weight: What the loss takes as `sample_weight`.
            memory: What `memory` made, in a training step.

        Returns:
            A `SolvedPlan`, or `None` for a loss that shows none.
        """
        return None

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TransportLoss":
        """Builds the loss that `get_config` described."""
        solver = keras.saving.deserialize_keras_object(config["solver"])
        return cls(**{**config, "solver": solver})


def solved_plan(
    loss: Any,
    teacher: Any,
    student: Any,
    sample_weight: Any = None,
    memory: Any = None,
) -> SolvedPlan | None:
    """Return the `SolvedPlan` of any Keras loss, or `None` if it has none."""
    if not isinstance(loss, TransportLoss):
        return None
    return loss.solved(teacher, student, sample_weight, memory)
