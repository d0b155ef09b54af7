"""Callbacks for the training of a `TransferModel`."""

from keras_otreg.callbacks.transport_monitor import TransportMonitor

__all__ = ["TransportMonitor"]
