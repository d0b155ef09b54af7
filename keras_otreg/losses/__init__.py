"""Losses between a teacher's and a student's activations."""

from keras_otreg.losses.attention_transfer import AttentionTransfer
from keras_otreg.losses.batch_spectral_shrinkage import BatchSpectralShrinkage
from keras_otreg.losses.centered_kernel_alignment import (
    CenteredKernelAlignment,
)
from keras_otreg.losses.class_conditional import ClassConditional
from keras_otreg.losses.class_transport import ClassTransport
from keras_otreg.losses.coral import Coral
from keras_otreg.losses.feature_map import FeatureMap
from keras_otreg.losses.hint import Hint
from keras_otreg.losses.logits_distillation import LogitsDistillation
from keras_otreg.losses.maximum_mean_discrepancy import MaximumMeanDiscrepancy
from keras_otreg.losses.representation_transport import RepresentationTransport
from keras_otreg.losses.sinkhorn_divergence import SinkhornDivergence
from keras_otreg.losses.transport_alignment import TransportAlignment

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
