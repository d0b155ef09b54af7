"""Losses between a teacher's and a student's activations."""

from keras_otreg.losses.alignment import (
    CenteredKernelAlignment,
    TransportAlignment,
)
from keras_otreg.losses.batch_loss import (
    BatchSpectralShrinkage,
    Coral,
    MaximumMeanDiscrepancy,
    SinkhornDivergence,
)
from keras_otreg.losses.classifiers import (
    ClassConditional,
    ClassTransport,
    LogitsDistillation,
)
from keras_otreg.losses.maps import AttentionTransfer, FeatureMap, Hint
from keras_otreg.losses.representation_transport import RepresentationTransport

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
