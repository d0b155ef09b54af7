"""Networks narrowed by this library: beside Torch-Pruning, and on photographs.

The second needs a folder of pictures with the folders train, validation, test.
"""

import keras
import numpy as np
import tensorflow as tf
import torch
from results import row
from torch import nn

import keras_otreg as otreg
from keras_otreg.compression.resources import summary_rows
from keras_otreg.workflows.compression import milliseconds

ABOUT = """\
A network with a residual stream and depthwise convolutions, trained on 4,000 \
digits (mnist5k), is narrowed to a share of all its widths: by `otreg.narrow` \
with 500 unlabelled digits, and by Torch-Pruning 1.6.0 (DepGraph, \
`GroupMagnitudeImportance`, its default). Both results have the same widths, \
and so the same operations. Then both are trained alike on 10 labels per \
class; of the learning rates 1e-4 and 1e-3, each takes the one that is better \
on 500 other digits. Test accuracy, mean and standard error over {seeds} seeds \
of teacher, draw and training."""
PHOTOGRAPHS = """\
EfficientNet-Lite0, pretrained on ImageNet, at 128 x 128 pixels, is narrowed \
to half of its operations on 300 unlabelled pictures of the folder. A head is \
solved on 20 labelled pictures per class, on frozen features ("solved head"). \
Then the network is fine-tuned for 100 steps on the labelled pictures \
("fine-tuned"), or on these and the unlabelled ones, with the outputs of the \
teacher as targets (`LogitsDistillation`, "with the teacher"); of the learning \
rates 1e-4 and 3e-4, and of no training, each takes the best in validation. \
Batch normalisation keeps its statistics. Test accuracy, mean and standard \
error over {seeds} draws; milliseconds for a picture are medians, both \
networks in turn in one run."""
SHARES = (0.5, 0.25)
# Of the comparison with Torch-Pruning, and of photographs.
SEEDS, DRAWS = 3, 3
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
    import torch_pruning

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
    x, y = data
    return float((model.predict(x, verbose=0).argmax(1) == y).mean())


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
    validation = others.x[500:1000], others.y[500:1000]
    found = {("all", "teacher"): (accuracy(teacher, test),) * 2}
    for share in SHARES:
        students = {
            "otreg.narrow": otreg.narrow(
                teacher, share, samples=others.x[:500], verbose=False
            ),
            "Torch-Pruning": pruned(teacher, share),
        }
        for name, student in students.items():
            best = max(
                (
                    trained(student, few, rate, seed)
                    for rate in RATES[: 1 if quick else None]
                ),
                key=lambda model: accuracy(model, validation),
            )
            found[share, name] = accuracy(student, test), accuracy(best, test)
    return found


def peer(quick):
    """Rows of the comparison."""
    runs = [measured(seed, quick) for seed in range(1 if quick else SEEDS)]
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


def photographs(folder, quick):
    """Rows of EfficientNet-Lite0 at half its operations."""
    parts, names = {}, None
    for part in ("train", "validation", "test"):
        pictures = otreg.data.image_folder(
            folder / part, (128, 128), 64, class_names=names, shuffle=False
        )
        names = pictures.class_names
        x, y = zip(*pictures, strict=True)
        parts[part] = np.concatenate(x).astype("uint8"), np.concatenate(y)
    runs = [
        half_of_lite0(parts, len(names), seed, quick)
        for seed in range(1 if quick else DRAWS)
    ]
    for name in runs[0]:
        found = np.array([run[name] for run in runs])
        error = found.std(axis=0, ddof=min(1, len(runs) - 1))
        yield row(
            "EfficientNet-Lite0 at half its operations",
            measured=name,
            value=f"{found.mean():.3f} ± {error / np.sqrt(len(runs)):.3f}",
        )


def half_of_lite0(parts, classes, seed, quick):
    """Accuracies and costs of one draw."""
    keras.utils.set_random_seed(seed)
    few, others = otreg.data.few_shot(*parts["train"], per_class=20, seed=seed)
    few, validation, test = tuple(few), parts["validation"], parts["test"]
    chosen = np.random.default_rng(seed).permutation(len(others.x))[:300]
    unlabelled = np.asarray(others.x)[chosen]
    body = otreg.data.efficientnet_lite0(
        (128, 128, 3), include_top=False, pooling="avg"
    )
    small = otreg.narrow(
        body,
        otreg.compression.Budget(flops=0.5),
        samples=unlabelled,
        verbose=False,
    )
    found = {}
    with_head = {}
    for name, network in (("teacher", body), ("half", small)):
        head = keras.layers.Dense(classes, activation="softmax", name="head")
        model = keras.Model(network.input, head(network.output))
        otreg.solve_head(model, *few, validation=validation)
        found[f"{name}, solved head"] = accuracy(model, test)
        best = fine_tuned(model, None, few, validation, quick)
        found[f"{name}, fine-tuned"] = accuracy(best, test)
        with_head[name] = model
    teacher, student = with_head["teacher"], with_head["half"]
    data = otreg.data.with_unlabelled(
        few, unlabelled, batch_size=16, unlabelled_batch_size=16, seed=seed
    )
    best = fine_tuned(student, teacher, data.repeat(), validation, quick)
    found["half, with the teacher"] = accuracy(best, test)
    times = milliseconds((teacher, student), test[0][:64])
    found["milliseconds, share of the teacher's"] = times[1] / times[0]
    sizes = [x.count_params() for x in (small, body)]
    found["parameters, share of the teacher's"] = sizes[0] / sizes[1]
    flops = [
        sum(x.resources.flops for x in summary_rows(m)) for m in (small, body)
    ]
    found["operations, share of the teacher's"] = flops[0] / flops[1]
    return found


def fine_tuned(model, teacher, data, validation, quick):
    """The best of the start and of two learning rates, in validation."""
    candidates = [model]
    for rate in (1e-4,) if quick else (1e-4, 3e-4):
        student = keras.models.clone_model(model)
        student.set_weights(model.get_weights())
        for layer in student.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
        trainee = student
        if teacher is not None:
            loss = otreg.losses.LogitsDistillation(2.0, from_logits=False)
            penalty = otreg.Penalty.at_each(loss, {"head": "head"})
            trainee = otreg.TransferModel(student, teacher, penalty)
        trainee.compile(
            keras.optimizers.Adam(rate), "sparse_categorical_crossentropy"
        )
        steps = 2 if quick else 100
        if not isinstance(data, tf.data.Dataset):
            data = mirrored(data, 32)
        trainee.fit(data, steps_per_epoch=steps, epochs=1, verbose=0)
        candidates.append(student)
    return max(candidates, key=lambda x: accuracy(x, validation))


def mirrored(samples, batch_size):
    """Endless batches of samples in random order, mirrored at random."""
    flip = keras.layers.RandomFlip("horizontal", seed=0)
    data = tf.data.Dataset.from_tensor_slices(samples).shuffle(1000, seed=0)
    data = data.repeat().batch(batch_size)
    return data.map(lambda x, y: (flip(x, training=True), y))
