"""What a person looks at during training."""

from keras_otreg.callbacks.transport_monitor import TransportMonitor

__all__ = ["TransportMonitor"]
