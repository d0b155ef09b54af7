"""Files of pictures, by part and class."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_otreg import checks
from keras_otreg.data import folders
from keras_otreg.data.splits import check_draw, draw_rows, set_aside

# Share of the pictures that is set aside for each part that is missing.
HELD_OUT = 0.2


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
    return {part: found[part] for part in folders.PARTS}


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
    folders.check_one_set(folder, class_names or ())
    classes = folders.pictures_in(folder)
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


def _places(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The folders of the parts; of a folder of classes, itself to train on."""
    places = folders.parts_in(folder)
    if not places:
        return {"train": folder}
    if "train" not in places:
        names = [x.name for x in folders.inner_folders(folder)]
        raise ValueError(
            f"Expected a folder train in '{folder}', or a folder for each "
            f"class. Received: the folders {names}, of which none is named "
            "like training data"
        )
    others = set(folders.inner_folders(folder)) - set(places.values())
    reason = "folders that are no part with a folder for each class"
    folders.warn_of({reason: sorted(map(str, others))} if others else {})
    return places


def _check_classes(found, known, folder):
    """Raise unless pictures are of two classes, or of those that are known."""
    if known is None and len(found) < 2:
        inner = folders.inner_folders(folder)
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
