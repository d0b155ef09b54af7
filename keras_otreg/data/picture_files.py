"""Files of pictures: which there are, and which are for what."""

import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from keras_otreg import checks
from keras_otreg.data.few_shot import rows_of_each
from keras_otreg.data.image_folder import SUFFIXES, readable_files

# What folders of a part may be called, in small letters or capitals.
PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test",),
}
# Shares of pictures that are set aside where a folder has no such part.
HELD_OUT = 0.2


class PictureFiles(NamedTuple):
    """Pictures that lie in files, and their labels.

    Attributes:
        paths: Of the files.
        labels: Whole numbers of shape `(pictures,)`.
        class_names: What the labels stand for.

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
        rows = [
            np.flatnonzero(self.labels == label)[:most]
            for label in range(len(self.class_names))
        ]
        return np.concatenate(rows)

    def counts(self) -> dict[str, int]:
        """How many pictures each class has."""
        found = np.bincount(self.labels, minlength=len(self.class_names))
        return dict(zip(self.class_names, found.tolist(), strict=True))


def picture_parts(
    folder: str | pathlib.Path, seed: int = 0
) -> dict[str, PictureFiles]:
    """Finds the pictures to train on, to choose by and to test with.

    Args:
        folder: One with folders `train`, `validation` and `test`, of which
            each has a folder for each class; or a folder of classes. What is
            missing is set aside, a fifth of each class: the test pictures
            first, then those for validation, of what is left a quarter.
        seed: Of what is set aside: the same gives the same.

    Returns:
        A `PictureFiles` each for `"train"`, `"validation"` and `"test"`.

    Raises:
        ValueError: If there are no pictures of two classes, a class has too
            few to set some aside, or a part has classes that are not trained.

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
    if "train" not in places:
        checks.part_to_train_on(places, folder)
    if places.keys() <= {"train"} and not _has_folders(places.get("train")):
        # Of a folder of classes, of which one may be called train.
        places = {"train": folder}
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
        found["train"], found[part] = _set_aside(
            found["train"], share, least, part, seed
        )
    return {part: found[part] for part in PARTS}


def picture_files(
    folder: str | pathlib.Path, class_names: list[str] | None = None
) -> PictureFiles:
    """Finds the pictures in a folder that has a folder for each class.

    Args:
        folder: The folder. Pictures may lie deeper in those of the classes.
        class_names: The classes, in the order of their labels; the names of
            the inner folders if not given.

    Returns:
        The `PictureFiles` that can be read, in the order of their names; a
        warning names what else is there.

    Raises:
        ValueError: If there are no pictures of at least two classes, or of
            classes that are not known, or if the inner folders are called
            `train` and `validation` or the like.

    Example:
        ```python
        known = otreg.data.picture_files("clothes/train")
        new = otreg.data.picture_files("more", known.class_names)
        ```
    """
    folder = checks.folder(folder, "folder")
    named = sorted(
        (str(path), path.relative_to(folder).parts[0])
        for path in folder.glob("*/**/*")
        if path.suffix.lower() in SUFFIXES
        and not any(x.startswith(".") for x in path.relative_to(folder).parts)
    )
    classes = dict(named)
    if class_names is None:
        checks.several_classes(classes.values(), folder)
        checks.classes_not_parts(set(classes.values()), folder)
    paths = readable_files(folder, list(classes)) if classes else []
    checks.some_readable(paths, folder)
    found = {classes[path] for path in paths}
    if class_names is None:
        checks.several_classes(found, folder)
    else:
        checks.known_classes(found, class_names, folder.name)
    names = sorted(found) if class_names is None else class_names
    labels = np.array([names.index(classes[path]) for path in paths], "int32")
    return PictureFiles(paths, labels, names)


def draw_pictures(
    files: PictureFiles, per_class: int, seed: int = 0
) -> PictureFiles:
    """Draws equally many pictures of every class.

    Args:
        files: To draw from.
        per_class: How many of each class.
        seed: Of the draw.

    Returns:
        The `PictureFiles` drawn, in the order they came in.

    Raises:
        ValueError: If a class has fewer.

    Example:
        ```python
        files = otreg.data.picture_files("clothes/train")
        few = otreg.data.draw_pictures(files, per_class=20, seed=1)
        ```
    """
    per_class = checks.count(per_class, "per_class")
    counts = files.counts()
    checks.enough_pictures(
        counts, per_class, "to draw", f"Draw {min(counts.values())} at most."
    )
    rows = rows_of_each(files.labels, lambda size: per_class, seed)
    return files.take(np.sort(rows))


def _places(folder: pathlib.Path) -> Mapping[str, pathlib.Path]:
    """Where the parts are that a folder has."""
    inner = {x.name.lower(): x for x in sorted(folder.iterdir()) if x.is_dir()}
    found = {}
    for part, names in PARTS.items():
        there = [inner[name] for name in names if name in inner]
        if there:
            found[part] = there[0]
    return found


def _has_folders(path: pathlib.Path | None) -> bool:
    return path is not None and any(x.is_dir() for x in path.iterdir())


def _set_aside(files, share, least, part, seed):
    checks.enough_pictures(
        files.counts(),
        least,
        f"where there is no folder {part}",
        "Add pictures, or make that folder yourself.",
    )
    aside = rows_of_each(
        files.labels, lambda size: max(1, round(share * size)), seed
    )
    aside = np.sort(aside)
    kept = np.setdiff1d(np.arange(len(files.paths)), aside)
    return files.take(kept), files.take(aside)
