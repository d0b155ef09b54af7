"""L2-SP that does not depend on the order of neurons."""

from typing import Any

import numpy as np
from keras import ops

from keras_otreg import checks
from keras_otreg.ot import Sinkhorn
from keras_otreg.ot.costs import squared_euclidean
from keras_otreg.ot.fixed_plan import column_costs, planner
from keras_otreg.ot.numerics import at_least_float32
from keras_otreg.regularizers.starting_point import StartingPoint, misfit
from keras_otreg.saving import export


@export
class NeuronTransport(StartingPoint):
    """Pulls the neurons of a layer towards those it started from, as a set.

    A neuron is a point: its weights, that is a column of the kernel, or the
    filter of an output channel. The penalty is `strength / 2 * neurons * <P,
    C>`, where `C` holds the squared distances between the neurons of the start
    and of the kernel, and `P` is the optimal plan between them, held constant
    in the backward pass. It is at most that of `StartingPoint`, which pairs
    every neuron with itself, and zero for neurons in another order.

    The last axis of most weights counts neurons; the last but one for
    transposed convolutions. A depthwise kernel of one filter a channel is one
    point. A recurrent kernel has a column for each gate of each unit.

    Args:
        start: Array of the shape of the weight. The axis of the neurons may
            have another length: a narrower layer can start from a wider one.
        strength: Factor of the penalty.
        epsilon: Entropic strength in units of the mean cost. It blurs the plan:
            similar neurons are pulled together a little. Neurons of one number
            each, as those of a bias, have the exact plan.
        axis: Which axis counts neurons.

    Example:
        ```python
        keras.layers.Dense(
            64, kernel_regularizer=NeuronTransport(pretrained_kernel, 0.1)
        )
        otreg.add_starting_point(model, 0.1, regularizer=NeuronTransport)
        ```

    References:
        Li, Grandvalet and Davoine, "Explicit inductive bias for transfer
        learning with convolutional networks" (ICML 2018), for L2-SP. Singh and
        Jaggi, "Model fusion via optimal transport" (NeurIPS 2020), for
        transport between the weights of neurons.
    """

    def __init__(
        self,
        start: Any,
        strength: float,
        epsilon: float = 0.05,
        axis: int = -1,
    ):
        super().__init__(start, strength)
        self.epsilon = checks.positive(epsilon, "epsilon")
        rank = max(1, self.start.ndim)
        expected = f"one of the {rank} axes of the starting point"
        number = checks.number(
            axis, "axis", expected, lambda x: x in range(-rank, rank)
        )
        self.axis = int(number - rank if number >= 0 else number)

    def __call__(self, x):
        """The penalty of a weight."""
        fixed = [list(shape) for shape in (self.start.shape, x.shape)]
        for shape in fixed:
            del shape[self.axis : self.axis + 1 or None]
        if fixed[0] != fixed[1] or self.start.ndim != len(x.shape):
            but = f", in all but axis {self.axis}, which counts neurons"
            raise misfit(self.start.shape, x, but)
        weight = at_least_float32(x)
        start = ops.convert_to_tensor(self.start, dtype=weight.dtype)
        value = neuron_transport(start, weight, self.epsilon, self.axis)
        return ops.cast(self.strength * value, x.dtype)


def neuron_transport(start: Any, x: Any, epsilon: float, axis: int) -> Any:
    """Half the number of neurons of `x` times `<P, C>` between both weights.

    They are of one dtype, float32 or float64, and of one shape, but for `axis`.
    """
    points = _neurons(start, axis), _neurons(x, axis)
    count, width = points[1].shape
    if width == 1:
        return 0.5 * count * _sorted_cost(*points)
    P, _ = planner(squared_euclidean, epsilon, Sinkhorn())(*points)
    costs = column_costs(squared_euclidean)(*points, P)
    return 0.5 * count * ops.sum(costs)


def _sorted_cost(x, y):
    """Optimal mean squared distance between points on a line, by quantiles."""
    n, m = x.shape[0], y.shape[0]
    quantiles = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    mass = np.diff(quantiles) / (n * m)
    pairs = [
        ops.take(points[:, 0], ops.take(ops.argsort(points[:, 0]), rows))
        for points, rows in (
            (x, quantiles[:-1] // m),
            (y, quantiles[:-1] // n),
        )
    ]
    difference = pairs[0] - pairs[1]
    return ops.sum(ops.cast(mass, difference.dtype) * difference * difference)


def _neurons(weight, axis):
    """The neurons of a weight as points, of shape `(neurons, d)`."""
    if not len(weight.shape):
        return ops.reshape(weight, (1, 1))
    first = ops.moveaxis(weight, axis, 0)
    return ops.reshape(first, (first.shape[0], -1))
