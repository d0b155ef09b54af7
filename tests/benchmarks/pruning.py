"""A network narrowed by this library and by Torch-Pruning, at equal widths."""

import keras
import numpy as np
import torch
import torch_pruning
from results import row
from torch import nn

import keras_otreg as otreg

ABOUT = """\
A network with a residual stream and depthwise convolutions, trained on 4,000 \
digits (mnist5k), is narrowed to a share of all its widths: by `otreg.narrow` \
with 500 unlabelled digits, and by Torch-Pruning {version} (DepGraph, \
`GroupMagnitudeImportance`, its default). Both results have the same widths, \
and so the same operations. Then both are trained alike on 10 labels per \
class, with the better of two rates for each. Test accuracy, mean and \
standard error over {seeds} seeds of teacher, draw and training."""
SHARES = (0.5, 0.25)
RATES = (1e-4, 1e-3)


def keras_network():
    """The network in Keras."""
    layers = keras.layers

    def normed(x, name, active=True):
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        return layers.ReLU(name=f"{name}_relu")(x) if active else x

    inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(32, 3, strides=2, name="stem", use_bias=False)(inputs)
    x = normed(x, "stem")
    for block in "ab":
        skip = x
        x = layers.Conv2D(96, 1, name=f"{block}_expand", use_bias=False)(x)
        x = normed(x, f"{block}_expand")
        x = layers.DepthwiseConv2D(
            3, padding="same", name=f"{block}_each", use_bias=False
        )(x)
        x = normed(x, f"{block}_each")
        x = layers.Conv2D(32, 1, name=f"{block}_project", use_bias=False)(x)
        x = normed(x, f"{block}_project", active=False)
        x = layers.Add(name=f"{block}_add")([skip, x])
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Conv2D(64, 3, name="top", use_bias=False)(x)
    x = layers.GlobalAveragePooling2D(name="mean")(normed(x, "top"))
    x = layers.Dense(64, activation="relu", name="features")(x)
    x = layers.Dense(10, activation="softmax", name="head")(x)
    return keras.Model(inputs, x)


class TorchNetwork(nn.Module):
    """The same network in PyTorch, without the last activation."""

    def __init__(self):
        super().__init__()

        def conv(name, n, m, size, **settings):
            setattr(self, name, nn.Conv2d(n, m, size, bias=False, **settings))
            setattr(self, f"{name}_norm", nn.BatchNorm2d(m, eps=1e-3))

        conv("stem", 1, 32, 3, stride=2)
        for block in "ab":
            conv(f"{block}_expand", 32, 96, 1)
            conv(f"{block}_each", 96, 96, 3, padding=1, groups=96)
            conv(f"{block}_project", 96, 32, 1)
        conv("top", 32, 64, 3)
        self.features, self.head = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        def normed(name, x):
            x = getattr(self, name)(x)
            return getattr(self, f"{name}_norm")(x)

        x = normed("stem", x).relu()
        for block in "ab":
            skip = x
            x = normed(f"{block}_expand", x).relu()
            x = normed(f"{block}_each", x).relu()
            x = skip + normed(f"{block}_project", x)
        x = nn.functional.max_pool2d(x, 2)
        x = normed("top", x).relu().mean(dim=(2, 3))
        return self.head(self.features(x).relu())


def weights(module):
    """Tensors of a layer in the order of Keras's weights, and their axes."""
    if isinstance(module, nn.BatchNorm2d):
        names = "weight", "bias", "running_mean", "running_var"
        return [(getattr(module, name), (0,)) for name in names]
    if isinstance(module, nn.Linear):
        return [(module.weight, (1, 0)), (module.bias, (0,))]
    # A depthwise kernel has its channels in another place.
    axes = (2, 3, 0, 1) if module.groups > 1 else (2, 3, 1, 0)
    return [(module.weight, axes)]


def to_torch(model):
    """The network in PyTorch with the weights of the one in Keras."""
    made = TorchNetwork().eval()
    with torch.no_grad():
        for name, module in made.named_children():
            values = model.get_layer(name).get_weights()
            for (tensor, axes), value in zip(
                weights(module), values, strict=True
            ):
                value = np.ascontiguousarray(value.transpose(np.argsort(axes)))
                tensor.copy_(torch.from_numpy(value))
    return made


def to_keras(module, model):
    """Give a network of the same widths in Keras the weights of PyTorch's."""
    for name, layer in module.named_children():
        model.get_layer(name).set_weights(
            [
                tensor.detach().numpy().transpose(axes)
                for tensor, axes in weights(layer)
            ]
        )
    return model


def pruned(teacher, share):
    """The teacher as Torch-Pruning narrows it."""
    module = to_torch(teacher)
    example = torch.zeros(1, 1, 28, 28)
    torch_pruning.pruner.MetaPruner(
        module,
        example,
        importance=torch_pruning.importance.GroupMagnitudeImportance(),
        pruning_ratio=1.0 - share,
        ignored_layers=[module.head],
    ).step()
    return to_keras(module, otreg.narrow(teacher, share))


def accuracy(model, data):
    return float((model.predict(data.x, verbose=0).argmax(1) == data.y).mean())


def trained(model, few, rate, seed):
    keras.utils.set_random_seed(seed)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    copy.fit(*few, batch_size=20, epochs=20, verbose=0)
    return copy


def measured(seed, quick):
    """Accuracies of one seed, by share and method."""
    keras.utils.set_random_seed(seed)
    train, test = otreg.data.mnist5k()
    teacher = keras_network()
    teacher.compile("adam", "sparse_categorical_crossentropy")
    teacher.fit(*train, batch_size=64, epochs=1 if quick else 8, verbose=0)
    few, others = otreg.data.few_shot(*train, per_class=10, seed=seed)
    found = {("all", "teacher"): (accuracy(teacher, test),) * 2}
    for share in SHARES:
        students = {
            "otreg.narrow": otreg.narrow(
                teacher, share, samples=others.x[:500], verbose=False
            ),
            "Torch-Pruning": pruned(teacher, share),
        }
        for name, student in students.items():
            after = max(
                accuracy(trained(student, few, rate, seed), test)
                for rate in RATES[: 1 if quick else None]
            )
            found[share, name] = accuracy(student, test), after
    return found


def peer(quick):
    """Rows of the comparison."""
    runs = [measured(seed, quick) for seed in range(1 if quick else 5)]
    title = "narrowed, test accuracy"
    for key in runs[0]:
        values = np.array([run[key] for run in runs])
        error = values.std(axis=0, ddof=min(1, len(runs) - 1))
        error = error / np.sqrt(len(runs))
        before, after = (
            f"{mean:.3f} ± {each:.3f}"
            for mean, each in zip(values.mean(axis=0), error, strict=True)
        )
        yield row(
            title,
            **{
                "width": str(key[0]),
                "by": key[1],
                "before training": before,
                "after training": after,
            },
        )
