"""Checks of named data sets and of what is to be done with them."""

import difflib
import inspect
import pathlib
from collections.abc import Collection, Iterable
from typing import Any

NO_MODEL = (
    "A model is no preprocessing: name the network that it was made of, or "
    "pass its `preprocess_input`."
)


def unknown_network(name: str, known: Iterable[str]) -> ValueError:
    """The error for a network that no preprocessing is known of."""
    return ValueError(
        "Invalid value for argument `network`. Expected 'efficientnet-lite0', "
        "the name of a network or a module of `keras.applications`, such as "
        "'ResNet50', one of these themselves, a function of pictures, or None. "
        f"Received: network={name!r}.{_near(name, known)}"
    )


def preprocessing(value: Any) -> Any:
    """Returns `value` if it may be a function of pictures."""
    if not callable(value) or isinstance(value, type):
        raise ValueError(
            "Invalid value for argument `network`. Expected the name of a "
            "network, a function of pictures, or None. Received: "
            f"network={value!r} (of type {type(value).__name__})"
        )
    if getattr(value, "trainable_weights", None):
        raise ValueError(
            "Invalid value for argument `network`. Expected a function of "
            f"pictures. Received: network={value!r}, which has weights to "
            f"train. {NO_MODEL}"
        )
    return value


def still_pictures(before: Any, after: Any) -> None:
    """Raises if a preprocessing returned something else than pictures."""
    shape = getattr(after, "shape", None)
    if shape is None or not before.shape[:-1].is_compatible_with(shape[:-1]):
        raise ValueError(
            "Expected a `network` whose function returns pictures of the "
            f"height and width that it is given, of shape {before.shape}. "
            f"Received: {after}. {NO_MODEL}"
        )


def unknown_set(
    name: Any, known: Iterable[str], error: Exception
) -> ValueError:
    """The error for a data set that TFDS does not know."""
    reason = str(error).strip().splitlines()
    return ValueError(
        "Invalid value for argument `name`. Expected the name of a data set "
        "that tensorflow-datasets knows, such as 'cifar10' or 'eurosat/rgb'. "
        f"Received: name={name!r}: {reason[0] if reason else error!r}"
        f"{_near(str(name), known)} `tensorflow_datasets.list_builders()` "
        "lists all of them."
    )


def one_picture_one_label(name: str, features: Any) -> ValueError:
    """The error for a data set of anything but pictures with one label."""
    kinds = {key: type(value).__name__ for key, value in features.items()}
    return ValueError(
        f"Expected a data set of pictures with one label each. Received: "
        f"{name!r} with the features {kinds}"
    )


def train_split(name: str, splits: Collection[str]) -> None:
    """Raises unless a data set has a part to train on."""
    if "train" not in splits:
        raise ValueError(
            "Expected a data set with a split 'train'. Received: "
            f"{name!r} with the splits {sorted(splits)}"
        )


def grey_or_colour(channels: Any, wanted: int) -> None:
    """Raises unless pictures can be given the channels that are wanted."""
    if channels not in (1, wanted):
        raise ValueError(
            f"Expected pictures of 1 or {wanted} channels for a network that "
            f"takes {wanted}. Received: {channels} channels. Pass a function "
            "as `network` that makes its inputs of them."
        )


def one_way_to_choose(shots: Any, fraction: Any) -> None:
    """Raises if both a number and a share of the pictures are asked for."""
    if shots is not None and fraction is not None:
        raise ValueError(
            "Expected `shots` or `fraction`, not both. Received: "
            f"shots={shots!r}, fraction={fraction!r}"
        )


def labelled_batch(value: Any) -> tuple[Any, ...]:
    """Returns a batch as a tuple, if it has labels."""
    if isinstance(value, (tuple, list)) and len(value) > 1:
        return tuple(value)
    raise ValueError(
        "Expected batches (x, y) or (x, y, sample_weight), of the form that "
        "`fit` gets. Received: a batch of inputs alone, without labels"
    )


def height_and_width(value: Any) -> tuple[int, int]:
    """Returns the size of a picture."""
    sides = tuple(value) if isinstance(value, Collection) else ()
    if len(sides) == 2 and all(
        isinstance(side, int) and side > 0 for side in sides
    ):
        return sides
    raise ValueError(
        "Invalid value for argument `image_size`. Expected (height, width), "
        f"two whole numbers above 0. Received: image_size={value!r}"
    )


def unprepared(builder: Any, error: Exception) -> OSError:
    """The error for a data set that is not here and could not be made."""
    place = pathlib.Path(builder.data_dir)
    root = builder.data_dir_root
    manual = pathlib.Path(root) / "downloads" / "manual"
    by_hand = inspect.cleandoc(
        builder.MANUAL_DOWNLOAD_INSTRUCTIONS
        or "What you have downloaded in a browser may lie there under the "
        "names that the files have on the server."
    )
    reason = str(error).strip().splitlines()[:1]
    return OSError(
        f"Cannot prepare the data set {builder.name!r}. Expected it in "
        f"{place}, or a way to make it. Received: {type(error).__name__}: "
        f"{' '.join(reason)}\nWhat helps:\n"
        f"- Download files by hand into {manual}, TFDS's `manual_dir`. "
        f"{by_hand}\n"
        "- Or make the same call on a machine with a connection, and copy "
        f"what it puts there to {place}.\n"
        "- Or pass `data_dir=`, the folder that holds "
        f"{place.relative_to(root)}, if it was prepared elsewhere."
    )


def _near(name, known):
    lower = {x.lower(): x for x in known}
    near = difflib.get_close_matches(name.lower(), lower, n=5, cutoff=0.6)
    return f" Near matches: {[lower[x] for x in near]}." if near else ""
