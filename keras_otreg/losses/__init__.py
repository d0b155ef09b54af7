"""Losses between a teacher's and a student's activations."""

from keras_otreg.losses.representation_transport import RepresentationTransport
from keras_otreg.losses.sinkhorn_divergence import SinkhornDivergence

__all__ = ["RepresentationTransport", "SinkhornDivergence"]
