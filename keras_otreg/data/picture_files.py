"""Files of pictures, by part and class."""

import collections
import os
import pathlib
import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_otreg import checks
from keras_otreg.data.reading import (
    PictureFiles,
    decodable,
    read_batches,
    resizing,
    shown,
    suffixes,
)
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
    places = parts_in(folder)
    inner = _inner_folders(folder)
    if places and "train" not in places:
        raise ValueError(
            f"Expected a folder train in '{folder}', or a folder for each "
            f"class. Received: the folders {[x.name for x in inner]}, of which "
            "none is named like training data"
        )
    others = sorted(map(str, set(inner) - set(places.values())))
    if places and others:
        reason = "folders that are no part with a folder for each class"
        _warn_of({reason: others}, stacklevel=3)
    found = {"train": picture_files(places.get("train", folder))}
    names = found["train"].class_names
    for part in ("validation", "test"):
        if part in places:
            found[part] = picture_files(places[part], names)
    missing = [part for part in ("test", "validation") if part not in found]
    # Of the pictures of a class, one is left to train on.
    least, train = 1 + len(missing), found["train"]
    small = [f"{k} has {n}" for k, n in train.counts().items() if n < least]
    if missing and small:
        raise ValueError(
            f"Expected at least {least} pictures of each class where there is "
            f"no folder {missing[0]}. Received: {', '.join(small)}. Add "
            "pictures, or make that folder yourself."
        )
    # A fifth of all, of which some may be gone already.
    shares = {x: HELD_OUT / (1 - k * HELD_OUT) for k, x in enumerate(missing)}
    for part, rows in set_aside(train.labels, shares, seed).items():
        found[part] = train.take(rows)
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
    if class_names is None and len(found) < 2:
        inner = _inner_folders(folder)
        way_out = f". Is '{inner[0]}' meant?" if len(inner) == 1 else ""
        raise ValueError(
            "Expected a folder that holds, for each of at least two classes, "
            f"a folder of pictures. Received: '{folder}' with {len(found)} "
            f"such folders: {found}{way_out}"
        )
    if not found:
        raise checks.invalid(f"pictures in '{folder}'", "none that can be read")
    if unknown := sorted(set(found) - set(names)):
        raise ValueError(
            f"Expected the classes of the training pictures, {sorted(names)}, "
            f"in the folder {folder.name}. Received: {unknown} beside them"
        )
    labels = np.array([names.index(x) for x in classes.values()], "int32")
    return PictureFiles(list(classes), labels, names)


def image_folder(
    path: str | pathlib.Path,
    image_size: tuple[int, int] = (224, 224),
    batch_size: int = 32,
    *,
    class_names: Sequence[str] | None = None,
    shuffle: bool = True,
    seed: int = 0,
    crop_to_aspect_ratio: bool = False,
) -> tf.data.Dataset:
    """Read pictures that lie in a folder for each class.

    It finds pictures as `picture_files` does, and reads them as
    `read_pictures` does, but keeps none in memory.

    Args:
        path: The folder that holds a folder for each class.
        image_size: Height and width that pictures are resized to, in pixels.
        batch_size: Pictures in a batch.
        class_names: Names of the folders to read, in the order of the labels;
            all in alphabetical order if `None`.
        shuffle: Whether each epoch has another order; else that of the paths.
        seed: Seed of the order.
        crop_to_aspect_ratio: Whether to crop a picture rather than distort it.

    Returns:
        Batches of pictures `(batch, height, width, 3)`, float32 in [0, 255],
        and whole numbers as labels; `class_names` is an attribute.

    Raises:
        ValueError: As `picture_files` does, or if `image_size` or `batch_size`
            is not of whole numbers above 0.

    Example:
        ```python
        train = otreg.data.image_folder("clothes/train", (128, 128))
        validation = otreg.data.image_folder(
            "clothes/validation", (128, 128), class_names=train.class_names
        )
        ```
    """
    resize = resizing(image_size, crop_to_aspect_ratio)
    files = picture_files(checks.folder(path, "path"), class_names)
    settings = {"mirror": False, "seed": seed, "memory": 0}
    return read_batches(files, resize, batch_size, 3, shuffle, **settings)


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


def _check_one_set(folder: pathlib.Path, classes: Collection[str]) -> None:
    """Raise unless the folders in a folder may be classes."""
    inner = _inner_folders(folder)
    # The names of the folders in each that is not known as a class.
    inside = {
        place: [x.name for x in _inner_folders(place)]
        for place in inner
        if place.name not in classes
    }
    named = [x for x in inside if _part_of(x.name)]
    if parts_in(folder, classes) or (named and named == inner):
        raise ValueError(
            "Expected a folder that holds a folder of pictures for each class. "
            f"Received: '{folder}' with the folders {[x.name for x in named]}, "
            "which look like parts of a data set. Read them one by one, such "
            f"as '{named[0]}', or all of them by `picture_parts`; rename what "
            "is a class"
        )
    for place, names in inside.items():
        if len({_part_of(name) for name in names} - {None}) > 1:
            raise ValueError(
                "Expected parts of the data that hold a folder for each class. "
                f"Received: the class '{place}' with the parts {names} in it. "
                "Make folders train/<class>/, validation/<class>/ and "
                "test/<class>/"
            )
    # Classes that all hold folders of the same names may be parts.
    first = next(iter(inside.values()), [])
    are_equal = all(names == first for names in inside.values())
    if len(inside) > 1 and len(first) > 1 and are_equal:
        warnings.warn(
            f"Took the folders {[x.name for x in inside]} in '{folder}' for "
            f"classes, although each of them holds the folders {first}. If "
            "those are the classes, read the outer folders one by one",
            stacklevel=3,
        )


def _pictures_in(folder: pathlib.Path) -> dict[str, str]:
    """Find the pictures in the folders of classes; warn of all else in it."""
    left_out: dict[str, list[str]] = collections.defaultdict(list)
    known = suffixes()
    found: dict[str, str] = {}
    for place in _inner_folders(folder):
        for path in _files_in(place, left_out):
            if pathlib.PurePath(path).suffix.lower() in known:
                found[path] = place.name
            else:
                reason = "files that have no suffix of a picture"
                left_out[reason].append(path)
    readable = decodable(sorted(found))
    for path in sorted(found.keys() - set(readable)):
        unnamed = "whose names are not UTF-8" if shown(path) != path else ""
        left_out[f"files {unnamed or 'that cannot be decoded'}"].append(path)
    found = {path: found[path] for path in readable}
    for place in _inner_folders(folder):
        if place.name not in found.values():
            left_out["folders without pictures"].append(str(place))
    for entry in sorted(folder.iterdir()):
        is_hidden = entry.name.startswith(".")
        if entry.suffix.lower() in known and not entry.is_dir() | is_hidden:
            reason = "pictures outside of the folders of classes"
            left_out[reason].append(str(entry))
    _warn_of(left_out)
    return found


def _warn_of(
    left_out: Mapping[str, Sequence[str]], stacklevel: int = 4
) -> None:
    """Warn of paths that are left out, by their reasons."""
    reasons = []
    for reason, paths in sorted(left_out.items()):
        named = ", ".join(map(shown, paths[:NAMED]))
        more = len(paths) - NAMED
        rest = f" and {more} more" if more > 0 else ""
        reasons.append(f"{reason}: {named}{rest}")
    if reasons:
        warnings.warn(f"Left out {'; '.join(reasons)}", stacklevel=stacklevel)


def _files_in(
    place: pathlib.Path, left_out: dict[str, list[str]]
) -> Iterable[str]:
    """Paths of the files in a folder, at any depth."""

    def fail(error):
        raise error

    for path, folders, files in os.walk(place, onerror=fail):
        folders[:] = sorted(x for x in folders if not x.startswith("."))
        inner = [os.path.join(path, name) for name in folders]
        if links := [x for x in inner if os.path.islink(x)]:
            left_out["links to folders inside of a class"] += links
        for name in sorted(files):
            if not name.startswith("."):
                yield os.path.join(path, name)
