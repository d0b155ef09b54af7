"""Callbacks for the training of a `TransferModel`."""

from keras_otreg.callbacks.source_shares import SourceShares
from keras_otreg.callbacks.transport_monitor import TransportMonitor

__all__ = ["SourceShares", "TransportMonitor"]
