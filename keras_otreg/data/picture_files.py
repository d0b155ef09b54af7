"""Files of pictures, by part and class."""

import os
import pathlib
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.decoding import decoded, suffixes
from keras_otreg.data.splits import check_draw, draw_rows, set_aside

# Share of the pictures that is set aside for each part that is missing.
HELD_OUT = 0.2
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


class PictureFiles(NamedTuple):
    """Paths of pictures, their labels `(pictures,)`, and the class names.

    Example:
        ```python
        files = otreg.data.picture_files("clothes/train")
        print(files.class_names, files.counts())
        some = files.take(files.first_of_each(3))
        ```
    """

    paths: list[str]
    labels: np.ndarray
    class_names: list[str]

    def take(self, rows: np.ndarray) -> "PictureFiles":
        """Some of the pictures."""
        paths = [self.paths[row] for row in rows]
        return self._replace(paths=paths, labels=self.labels[rows])

    def first_of_each(self, most: int) -> np.ndarray:
        """Rows of the first pictures of each class, so many at most."""
        classes = range(len(self.class_names))
        rows = [np.flatnonzero(self.labels == k)[:most] for k in classes]
        return np.concatenate(rows)

    def counts(self) -> dict[str, int]:
        """Number of pictures of each class."""
        found = np.bincount(self.labels, minlength=len(self.class_names))
        return dict(zip(self.class_names, found.tolist(), strict=True))


def picture_parts(
    folder: str | pathlib.Path, seed: int = 0
) -> dict[str, PictureFiles]:
    """Find the pictures for training, validation and testing.

    Args:
        folder: One with folders `train`, `validation` and `test`, of which
            each has a folder for each class; or a folder of classes. Other
            usual names of parts will do, such as `Training`, `train_set`,
            `val`, `dev`, `eval` and `holdout`; a warning names what is no
            part. A part that is missing is set aside from the training
            pictures: a fifth of each class, those for testing first.
        seed: Of what is set aside.

    Returns:
        A `PictureFiles` each for `"train"`, `"validation"` and `"test"`.

    Raises:
        ValueError: If there are no pictures of two classes, two folders are
            for one part, none is for training, a class has too few to set
            some aside, or a part has classes that are not trained.

    Example:
        ```python
        parts = otreg.data.picture_parts("clothes")
        few = otreg.data.draw_pictures(parts["train"], 20)
        train = otreg.data.read_pictures(few, (160, 160), shuffle=True)
        ```
    """
    folder = checks.folder(folder, "folder")
    checks.count(seed, "seed", least=0)
    places = _places(folder)
    found = {"train": picture_files(places["train"])}
    names = found["train"].class_names
    for part in ("validation", "test"):
        if part in places:
            found[part] = picture_files(places[part], names)
    missing = [part for part in ("test", "validation") if part not in found]
    for gone, part in enumerate(missing):
        # A fifth of all, of which some may be gone already.
        share = HELD_OUT / (1.0 - gone * HELD_OUT)
        # Of the pictures of a class, one is left to train on.
        least = 1 + len(missing) - gone
        counts = found["train"].counts()
        small = [f"{k} has {n}" for k, n in counts.items() if n < least]
        if small:
            raise ValueError(
                f"Expected at least {least} pictures of each class where there "
                f"is no folder {part}. Received: {', '.join(small)}. Add "
                "pictures, or make that folder yourself."
            )
        rows = set_aside(found["train"].labels, share, seed)
        found["train"], found[part] = map(found["train"].take, rows)
    return {part: found[part] for part in PARTS}


def picture_files(
    folder: str | pathlib.Path, class_names: Sequence[str] | None = None
) -> PictureFiles:
    """Find the pictures in a folder that has a folder for each class.

    A picture is a file with the suffix of a picture, such as `.jpg` or `.png`,
    that Pillow can decode. A class is a folder that has pictures.

    Args:
        folder: The folder. Pictures may lie deeper in those of the classes.
        class_names: The classes, in the order of their labels; the names of
            the inner folders that have pictures if not given.

    Returns:
        The `PictureFiles`, in the order of their paths. A warning names, with
        the reason, what else is there, unless it begins with a dot.

    Raises:
        ValueError: If there are no pictures of at least two classes, or of
            classes that are not known, or if the inner folders are parts
            such as `train` and `validation`, or hold such parts.

    Example:
        ```python
        known = otreg.data.picture_files("clothes/train")
        new = otreg.data.picture_files("more", known.class_names)
        ```
    """
    folder = checks.folder(folder, "folder")
    _check_one_set(folder, class_names or ())
    classes = _pictures_in(folder)
    found = sorted(set(classes.values()))
    names = found if class_names is None else list(class_names)
    _check_classes(found, class_names, folder)
    labels = np.array([names.index(x) for x in classes.values()], "int32")
    return PictureFiles(list(classes), labels, names)


def draw_pictures(
    files: PictureFiles, per_class: int, seed: int = 0
) -> PictureFiles:
    """Draw equally many pictures of every class.

    Args:
        files: The `PictureFiles` to draw from.
        per_class: How many of each class.
        seed: Seed of the draw.

    Raises:
        ValueError: If a class has fewer.

    Example:
        ```python
        files = otreg.data.picture_files("clothes/train")
        few = otreg.data.draw_pictures(files, per_class=20, seed=1)
        ```
    """
    per_class = check_draw(per_class, files.counts(), "per_class")
    rows = draw_rows(files.labels, lambda size: per_class, seed)
    return files.take(np.sort(rows))


def _places(folder):
    """The folders of the parts; of a folder of classes, itself to train on."""
    places = parts_in(folder)
    if not places:
        return {"train": folder}
    if "train" not in places:
        names = [x.name for x in _inner_folders(folder)]
        raise ValueError(
            f"Expected a folder train in '{folder}', or a folder for each "
            f"class. Received: the folders {names}, of which none is named "
            "like training data"
        )
    others = set(_inner_folders(folder)) - set(places.values())
    reason = "folders that are no part with a folder for each class"
    _warn_of({reason: sorted(map(str, others))} if others else {})
    return places


def _check_classes(found, known, folder):
    """Raise unless pictures are of two classes, or of those that are known."""
    if known is None and len(found) < 2:
        inner = _inner_folders(folder)
        way_out = f". Is '{inner[0]}' meant?" if len(inner) == 1 else ""
        raise ValueError(
            "Expected a folder that holds, for each of at least two classes, "
            f"a folder of pictures. Received: '{folder}' with {len(found)} "
            f"such folders: {found}{way_out}"
        )
    if not found:
        raise checks.invalid(f"pictures in '{folder}'", "none that can be read")
    unknown = sorted(set(found) - set(known or found))
    if unknown:
        raise ValueError(
            f"Expected the classes of the training pictures, {sorted(known)}, "
            f"in the folder {folder.name}. Received: {unknown} beside them"
        )


def _part_of(name: str) -> str | None:
    """Return the part that a folder is by its name, or `None`."""
    stem = NO_PART.sub("", name.lower())
    return next((part for part, known in PARTS.items() if stem in known), None)


def _inner_folders(folder: pathlib.Path) -> list[pathlib.Path]:
    """Folders in a folder, by name; not those that begin with a dot."""
    return sorted(
        x for x in folder.iterdir() if x.is_dir() and not x.name.startswith(".")
    )


def parts_in(
    folder: pathlib.Path, classes: Collection[str] = ()
) -> dict[str, pathlib.Path]:
    """Find the folders of parts: by their names, if they hold folders."""
    found: dict[str, pathlib.Path] = {}
    for inner in _inner_folders(folder):
        part = _part_of(inner.name)
        if part is None or inner.name in classes or not _inner_folders(inner):
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


def _check_one_set(folder: pathlib.Path, classes: Collection[str] = ()) -> None:
    """Raise unless the folders in a folder may be classes."""
    inner = _inner_folders(folder)
    others = [x for x in inner if x.name not in classes]
    named = [x for x in others if _part_of(x.name)]
    if parts_in(folder, classes) or (named and named == inner):
        raise ValueError(
            "Expected a folder that holds a folder of pictures for each class. "
            f"Received: '{folder}' with the folders {[x.name for x in named]}, "
            "which look like parts of a data set. Read them one by one, such "
            f"as '{named[0]}', or all of them by `picture_parts`; rename what "
            "is a class"
        )
    for place in others:
        names = [x.name for x in _inner_folders(place)]
        parts = {_part_of(name) for name in names} - {None}
        if len(parts) > 1:
            raise ValueError(
                "Expected parts of the data that hold a folder for each class. "
                f"Received: the class '{place}' with the parts {names} in it. "
                "Make folders train/<class>/, validation/<class>/ and "
                "test/<class>/"
            )
    # Classes that all hold folders of the same names may be parts.
    inside = [[x.name for x in _inner_folders(place)] for place in others]
    are_equal = all(names == inside[0] for names in inside)
    if len(inside) > 1 and len(inside[0]) > 1 and are_equal:
        warnings.warn(
            f"Took the folders {[x.name for x in others]} in '{folder}' for "
            f"classes, although each of them holds the folders {inside[0]}. "
            "If those are the classes, read the outer folders one by one",
            stacklevel=3,
        )


def _pictures_in(folder: pathlib.Path) -> dict[str, str]:
    """Find the pictures in the folders of classes; warn of all else in it."""
    left_out: dict[str, list[str]] = {}

    def leave_out(path, reason):
        left_out.setdefault(reason, []).append(path)

    known = suffixes()
    found: dict[str, str] = {}
    for place in _inner_folders(folder):
        for path in _files_in(place, leave_out):
            if pathlib.PurePath(path).suffix.lower() in known:
                found[path] = place.name
            else:
                leave_out(path, "files that have no suffix of a picture")
    tried = [x for x in sorted(found) if _shown(x) == x and os.path.isfile(x)]
    readable = decodable(tried)
    unnamed = "files whose names are not UTF-8"
    broken = "files that cannot be decoded"
    for path in sorted(found.keys() - set(readable)):
        leave_out(path, broken if _shown(path) == path else unnamed)
    found = {path: found[path] for path in readable}
    for place in _inner_folders(folder):
        if place.name not in found.values():
            leave_out(str(place), "folders without pictures")
    for entry in sorted(folder.iterdir()):
        is_hidden = entry.name.startswith(".")
        if entry.suffix.lower() in known and not entry.is_dir() | is_hidden:
            leave_out(str(entry), "pictures outside of the folders of classes")
    _warn_of(left_out)
    return found


def _warn_of(left_out: Mapping[str, Collection[str]]) -> None:
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
        lambda path: (path, tf.shape(decoded(path))),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    pairs = samples.ignore_errors().as_numpy_iterator()
    return [path.decode() for path, _ in pairs]


def _listed(paths):
    more = len(paths) - NAMED
    named = ", ".join(map(_shown, list(paths)[:NAMED]))
    return f"{named} and {more} more" if more > 0 else named


def _shown(path: str | os.PathLike) -> str:
    """Return a path that can be printed; another one if it is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
