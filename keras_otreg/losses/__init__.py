"""Losses between a teacher's and a student's activations."""

from keras_otreg.losses.class_transport import ClassTransport
from keras_otreg.losses.representation_transport import RepresentationTransport
from keras_otreg.losses.sinkhorn_divergence import SinkhornDivergence

__all__ = ["ClassTransport", "RepresentationTransport", "SinkhornDivergence"]
