"""Folders of pictures: parts, classes and files."""

import os
import pathlib
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import tensorflow as tf

from keras_otreg.data import decoding

# Usual names of a part, in small letters, without digits and other signs.
PARTS = {
    "train": {"train", "training"},
    "validation": {
        *("val", "valid", "validate", "validation"),
        *("dev", "devel", "development"),
    },
    "test": {
        *("test", "testing", "eval", "evaluate", "evaluation"),
        *("holdout", "heldout"),
    },
}
# "train_set", "TestImages" and "val2017" are names of parts too.
NO_PART = re.compile(r"[\W\d_]+|set|data|split|images?|pictures?|photos?")
# Paths that a warning names for each reason.
NAMED = 20


def part_of(name: str) -> str | None:
    """Return the part that a folder is by its name, or `None`."""
    stem = NO_PART.sub("", name.lower())
    return next((part for part, known in PARTS.items() if stem in known), None)


def inner_folders(folder: pathlib.Path) -> list[pathlib.Path]:
    """Folders in a folder, by name; not those that begin with a dot."""
    return sorted(
        x for x in folder.iterdir() if x.is_dir() and not x.name.startswith(".")
    )


def parts_in(
    folder: pathlib.Path, classes: Collection[str] = ()
) -> dict[str, pathlib.Path]:
    """Find the folders of parts: by their names, if they hold folders."""
    found: dict[str, pathlib.Path] = {}
    for inner in inner_folders(folder):
        part = part_of(inner.name)
        if part is None or inner.name in classes or not inner_folders(inner):
            continue
        if part in found:
            raise ValueError(
                f"Expected one folder for each part of the data in '{folder}'. "
                f"Received: '{found[part].name}' and '{inner.name}', which are "
                f"both for {part}. Rename one to train, validation or test, "
                "join them, or move one elsewhere"
            )
        found[part] = inner
    return found


def check_one_set(folder: pathlib.Path, classes: Collection[str] = ()) -> None:
    """Raise unless the folders in a folder may be classes."""
    inner = inner_folders(folder)
    others = [x for x in inner if x.name not in classes]
    named = [x for x in others if part_of(x.name)]
    if parts_in(folder, classes) or (named and named == inner):
        raise ValueError(
            "Expected a folder that holds a folder of pictures for each class. "
            f"Received: '{folder}' with the folders {[x.name for x in named]}, "
            "which look like parts of a data set. Read them one by one, such "
            f"as '{named[0]}', or all of them by `picture_parts`; rename what "
            "is a class"
        )
    for place in others:
        names = [x.name for x in inner_folders(place)]
        parts = {part_of(name) for name in names} - {None}
        if len(parts) > 1:
            raise ValueError(
                "Expected parts of the data that hold a folder for each class. "
                f"Received: the class '{place}' with the parts {names} in it. "
                "Make folders train/<class>/, validation/<class>/ and "
                "test/<class>/"
            )
    # Classes that all hold folders of the same names may be parts.
    inside = [[x.name for x in inner_folders(place)] for place in others]
    are_equal = all(names == inside[0] for names in inside)
    if len(inside) > 1 and len(inside[0]) > 1 and are_equal:
        warnings.warn(
            f"Took the folders {[x.name for x in others]} in '{folder}' for "
            f"classes, although each of them holds the folders {inside[0]}. "
            "If those are the classes, read the outer folders one by one",
            stacklevel=3,
        )


def pictures_in(folder: pathlib.Path) -> dict[str, str]:
    """Find the pictures in the folders of classes; warn of all else in it."""
    left_out: dict[str, list[str]] = {}

    def leave_out(path, reason):
        left_out.setdefault(reason, []).append(path)

    suffixes = decoding.suffixes()
    found: dict[str, str] = {}
    for place in inner_folders(folder):
        for path in _files_in(place, leave_out):
            if pathlib.PurePath(path).suffix.lower() in suffixes:
                found[path] = place.name
            else:
                leave_out(path, "files that have no suffix of a picture")
    tried = [x for x in sorted(found) if shown(x) == x and os.path.isfile(x)]
    readable = decodable(tried)
    for path in sorted(found.keys() - set(readable)):
        is_named = shown(path) == path
        why = (
            "that cannot be decoded"
            if is_named
            else "whose names are not UTF-8"
        )
        leave_out(path, f"files {why}")
    found = {path: found[path] for path in readable}
    for place in inner_folders(folder):
        if place.name not in found.values():
            leave_out(str(place), "folders without pictures")
    for entry in sorted(folder.iterdir()):
        is_hidden = entry.name.startswith(".")
        if entry.suffix.lower() in suffixes and not entry.is_dir() | is_hidden:
            leave_out(str(entry), "pictures outside of the folders of classes")
    warn_of(left_out)
    return found


def warn_of(left_out: Mapping[str, Collection[str]]) -> None:
    """Warn of paths that are left out, by their reasons."""
    if left_out:
        reasons = (f"{k}: {_listed(x)}" for k, x in sorted(left_out.items()))
        warnings.warn(f"Left out {'; '.join(reasons)}", stacklevel=4)


def _files_in(place: pathlib.Path, leave_out: Callable) -> Iterable[str]:
    """Paths of the files in a folder, at any depth."""

    def fail(error):
        raise error

    for path, folders, files in os.walk(place, onerror=fail):
        shown = [name for name in folders if not name.startswith(".")]
        links = [x for x in shown if os.path.islink(os.path.join(path, x))]
        for link in sorted(os.path.join(path, name) for name in links):
            leave_out(link, "links to folders inside of a class")
        folders[:] = sorted(set(shown) - set(links))
        for name in sorted(files):
            if not name.startswith("."):
                yield os.path.join(path, name)


def decodable(files: Sequence[str]) -> list[str]:
    """Those of some files that can be decoded, in the same order."""
    paths = tf.data.Dataset.from_tensor_slices(tf.constant(files, tf.string))
    # TensorFlow would not decode a picture of which nothing is asked.
    samples = paths.map(
        lambda path: (path, tf.shape(decoding.decoded(path))),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    pairs = samples.ignore_errors().as_numpy_iterator()
    return [path.decode() for path, _ in pairs]


def _listed(paths):
    more = len(paths) - NAMED
    named = ", ".join(map(shown, list(paths)[:NAMED]))
    return f"{named} and {more} more" if more > 0 else named


def shown(path: str | os.PathLike) -> str:
    """Return a path that can be printed; another one if it is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
