"""Networks that the command line is told of by name."""

import pathlib

import keras

FEATURES = "avg_pool"
LITE0 = "efficientnet-lite0"


def teacher_named(name: str, size: int) -> keras.Model:
    """Loads the network to learn from.

    Args:
        name: `"efficientnet-lite0"`, or the path of a `.keras` file.
        size: Height and width of the pictures, for the former.

    Returns:
        A built `keras.Model`.

    Raises:
        OSError: If there is no such network.
        ImportError: If a package that holds weights is not installed.
    """
    if name == LITE0:
        from keras_otreg.data import efficientnet_lite0

        return efficientnet_lite0((size, size, 3))
    if not pathlib.Path(name).is_file():
        raise OSError(
            f"no teacher {name!r}: expected {LITE0} or the path of a .keras "
            "file"
        )
    try:
        return keras.saving.load_model(name, compile=False)
    except Exception as error:
        raise OSError(f"cannot read the teacher {name}: {error}") from error


def features_of(model: keras.Model) -> str:
    """The layer whose output goes into a new head, if none is named."""
    names = [layer.name for layer in model.layers]
    return FEATURES if FEATURES in names else names[-2]


def with_new_head(
    teacher: keras.Model, at: str, classes: int, seed: int
) -> keras.Model:
    """A copy of a network up to a layer, with a head for other classes.

    Args:
        teacher: A Functional or Sequential model; it is not changed.
        at: Name of a layer of it.
        classes: Of the new task.
        seed: Of the head's initial weights: the same gives the same.

    Returns:
        A model that predicts probabilities of the classes.

    Raises:
        OSError: If the teacher has no such layer.
    """
    names = [layer.name for layer in teacher.layers]
    if at not in names:
        raise OSError(f"the teacher has no layer {at!r}; it has {names}")
    body = keras.Model(teacher.inputs, teacher.get_layer(at).output)
    copy = keras.models.clone_model(body)
    copy.set_weights(body.get_weights())
    outputs = copy.outputs[0]
    if len(outputs.shape) > 2:
        outputs = keras.layers.Flatten(name="flat")(outputs)
    head = keras.layers.Dense(
        classes,
        "softmax",
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        name="head",
    )
    return keras.Model(copy.inputs, head(outputs), name="student")
