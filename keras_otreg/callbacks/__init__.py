"""Callbacks for training: what plans do, shares of classes, and labels."""

from keras_otreg.callbacks.source_shares import SourceShares
from keras_otreg.callbacks.transport_monitor import TransportMonitor
from keras_otreg.labelling.rounds import SelfTraining

__all__ = ["SelfTraining", "SourceShares", "TransportMonitor"]
