"""The engine of the PyTorch backend: each step runs eagerly."""

import contextlib

import torch

from keras_otreg.engine import base


class Engine(base.Engine):
    """PyTorch, where steps are never compiled."""

    @contextlib.contextmanager
    def no_side_effects(self):
        with torch.random.fork_rng():
            yield

    def rounds_matmul(self):
        is_on = torch.get_float32_matmul_precision() != "highest"
        return is_on and torch.cuda.is_available()

    def gradients(self, function, tensors):
        tensors = [x.detach().requires_grad_() for x in tensors]
        values, others = function(tensors)
        if not tensors:
            return [[] for _ in values], others
        # A scalar that depends on no tensor needs a graph: one of zeros.
        values = [value + 0.0 * tensors[0].sum() for value in values]
        found = torch.autograd.grad
        how = {"retain_graph": True, "materialize_grads": True}
        return [found(value, tensors, **how) for value in values], others

    def gate_gradient(self, x, gate):
        return _Gate.apply(x, gate.requires_grad_())

    def concrete_bool(self, flag):
        # On the meta device only shapes are computed.
        return None if flag.device.type == "meta" else bool(flag)


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gate):
        return x.clone(), gate.clone()

    @staticmethod
    def backward(ctx, dx, dgate):
        return base.gated(dx, dgate)
