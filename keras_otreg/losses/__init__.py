"""Losses between a teacher's and a student's activations."""

from keras_otreg.losses.alignment import (
    CenteredKernelAlignment,
    TransportAlignment,
)
from keras_otreg.losses.classifiers import (
    ClassConditional,
    ClassTransport,
    LogitsDistillation,
)
from keras_otreg.losses.maps import AttentionTransfer, FeatureMap, Hint
from keras_otreg.losses.representation_transport import RepresentationTransport
from keras_otreg.losses.sample_sets import (
    BatchSpectralShrinkage,
    Coral,
    MaximumMeanDiscrepancy,
    SinkhornDivergence,
)

__all__ = [
    "AttentionTransfer",
    "BatchSpectralShrinkage",
    "CenteredKernelAlignment",
    "ClassConditional",
    "ClassTransport",
    "Coral",
    "FeatureMap",
    "Hint",
    "LogitsDistillation",
    "MaximumMeanDiscrepancy",
    "RepresentationTransport",
    "SinkhornDivergence",
    "TransportAlignment",
]
