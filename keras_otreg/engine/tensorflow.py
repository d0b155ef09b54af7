"""The engine of the TensorFlow backend: graphs, XLA and replicas."""

import contextlib
import contextvars
import functools

import tensorflow as tf

from keras_otreg.engine import base

_has_side_effects = contextvars.ContextVar("has_side_effects", default=True)


class Engine(base.Engine):
    """TensorFlow, whose steps run eagerly, as graphs, or compiled by XLA."""

    def compiled(self, function):
        if not tf.test.is_built_with_xla():
            return function
        return tf.function(function, jit_compile=True, autograph=False)

    def traced(self, function):
        return tf.function(function, autograph=False)

    def remat(self, function, jit_compile):
        # A program for each gradient: what nobody asks for is not run.
        program = self.compiled if jit_compile else lambda each: each
        forward = program(function)

        @functools.cache
        def backward(k):
            def gradient(upstream, *arguments):
                with tf.GradientTape() as tape:
                    tape.watch(arguments[k])
                    value = function(*arguments)
                return tape.gradient(value, arguments[k], upstream)

            return program(gradient)

        @tf.custom_gradient
        def call(*arguments):
            value = forward(*arguments)

            def gradients(upstream):
                # One after the other: in parallel they need twice the memory.
                with tf.control_dependencies([value]):
                    return [
                        backward(k)(upstream, *arguments)
                        for k in range(len(arguments))
                    ]

            return value, gradients

        # TensorFlow keeps the graph around a custom gradient for ever: let it
        # be this small one, not that of a step.
        return tf.function(call, autograph=False)

    def in_place_update(self, function, variables, jit_compile):
        update = super().in_place_update(function, variables, jit_compile)
        if not jit_compile:
            return update
        in_place = self.compiled(update)

        def chosen(*arguments):
            plain = tf.distribute.has_strategy() or not _has_side_effects.get()
            return (update if plain else in_place)(*arguments)

        return chosen

    def runs_programs_in_parallel(self):
        devices = tf.config.list_logical_devices()
        return {device.device_type for device in devices} == {"CPU"}

    def outside_of_graphs(self):
        return tf.init_scope()

    @contextlib.contextmanager
    def no_side_effects(self):
        token = _has_side_effects.set(False)
        try:
            yield
        finally:
            _has_side_effects.reset(token)

    def rounds_matmul(self):
        settings = tf.config.experimental
        is_on = settings.tensor_float_32_execution_enabled()
        return is_on and bool(tf.config.list_logical_devices("GPU"))

    def gradients(self, function, tensors):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(tensors)
            values, others = function(tensors)
        found = [
            tape.gradient(value, tensors, unconnected_gradients="zero")
            for value in values
        ]
        # The gradient of an embedding is a set of slices.
        found = [[tf.convert_to_tensor(x) for x in each] for each in found]
        return found, others

    def gate_gradient(self, x, gate):
        return _gate()(x, gate)

    def step_is_compiled(self, model):
        return model.jit_compile and not model.run_eagerly

    def concrete_bool(self, flag):
        return bool(flag) if tf.executing_eagerly() else None

    def stop_graph_if(self, flag, x, message, before):
        def done():
            before()
            return tf.constant(True)

        with tf.control_dependencies([tf.cond(flag, done, lambda: False)]):
            check = tf.debugging.Assert(tf.logical_not(flag), [message])
        # The gradient is multiplied by the one, and so waits as well.
        with tf.control_dependencies([check]):
            one = tf.identity(tf.ones((), x.dtype))
        return x * one

    def is_graph_error(self, error):
        return isinstance(error, tf.errors.OpError)

    def num_replicas(self, model=None):
        if model is None:
            return tf.distribute.get_strategy().num_replicas_in_sync
        return model.distribute_strategy.num_replicas_in_sync

    def is_replicated(self):
        return _replica() is not None

    def strategy_scope(self, model):
        return model.distribute_strategy.scope()

    def all_reduce_sum(self, values):
        context = _replica()
        if context is None:
            return values

        replicas = context.num_replicas_in_sync

        @tf.custom_gradient
        def added(*tensors):
            sums = [_sum(context, each) for each in tensors]
            return sums, lambda *upstream: [replicas * x for x in upstream]

        sums = added(*tf.nest.flatten(values))
        return tf.nest.pack_sequence_as(values, tf.nest.flatten(sums))

    def all_gather(self, x):
        context = _replica()
        if context is None:
            return x
        replicas = context.num_replicas_in_sync
        own = tf.convert_to_tensor(context.replica_id_in_sync_group)
        size = tf.shape(x)[0]
        sizes = _sum(context, tf.one_hot(own, replicas, size, 0))
        start = tf.reduce_sum(sizes[:own])

        @tf.custom_gradient
        def joined(x):
            rows = _merged(context, x, lambda parts: tf.concat(parts, 0))
            if rows is None:
                rows = context.all_gather(x, axis=0)
            rows.set_shape([None, *x.shape[1:]])
            own_rows = slice(start, start + size)
            return rows, lambda upstream: replicas * upstream[own_rows]

        return joined(x)

    def any_replica(self, flag):
        context = _replica()
        if context is None:
            return flag
        return _sum(context, tf.cast(flag, "float32")) > 0.0

    def reducible_logs(self, logs):
        # Keras averages over workers along an axis, which scalars lack
        # (keras-team/keras, issue 20585).
        if _replica() is None:
            return logs
        strategy = tf.distribute.get_strategy()
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return logs
        if not strategy.cluster_resolver.cluster_spec().as_dict():
            return logs
        return {name: tf.reshape(value, [-1]) for name, value in logs.items()}


def _replica():
    """The context of this replica, or `None` if it is the only one."""
    context = tf.distribute.get_replica_context()
    alone = context is None or context.num_replicas_in_sync == 1
    return None if alone else context


def _sum(context, x):
    found = _merged(context, x, tf.add_n)
    return context.all_reduce("SUM", x) if found is None else found


def _merged(context, x, merge):
    """The tensors of all replicas merged; `None` if they are in other graphs.

    Collectives of a second strategy fail where it sends other shapes. Only the
    private method tells that XLA compiles for GPUs, with a graph for each.
    """
    strategy = context.strategy
    is_mirrored = isinstance(strategy, tf.distribute.MirroredStrategy)
    if not (is_mirrored and strategy.extended._use_merge_call()):
        return None
    return context.merge_call(
        lambda own, values: merge(own.experimental_local_results(values)),
        args=(x,),
    )


@functools.cache
def _gate():
    """The function behind `gate_gradient`, in a graph of its own."""
    gate = tf.custom_gradient(
        lambda x, gate: ((tf.identity(x), tf.identity(gate)), base.gated)
    )
    # In a small graph, for the reason that `remat` has.
    return tf.function(gate, autograph=False, reduce_retracing=True)
