"""Data sets by name or from folders, few labels, pairs of data sets."""

from keras_otreg.data import builders
from keras_otreg.data.batches import paired, with_unlabelled
from keras_otreg.data.builders import letters, mnist5k, optdigits, textures
from keras_otreg.data.efficientnet_lite0 import efficientnet_lite0
from keras_otreg.data.labels import with_labels
from keras_otreg.data.load import Splits, load
from keras_otreg.data.picture_files import (
    draw_pictures,
    image_folder,
    picture_files,
    picture_parts,
)
from keras_otreg.data.reading import PictureFiles, read_pictures
from keras_otreg.data.splits import Labelled, few_shot
from keras_otreg.data.teacher import with_teacher

__all__ = [
    "Labelled",
    "PictureFiles",
    "Splits",
    "builders",
    "draw_pictures",
    "efficientnet_lite0",
    "few_shot",
    "image_folder",
    "letters",
    "load",
    "mnist5k",
    "optdigits",
    "paired",
    "picture_files",
    "picture_parts",
    "read_pictures",
    "textures",
    "with_labels",
    "with_teacher",
    "with_unlabelled",
]
