"""What a person looks at after training; needs matplotlib."""

from keras_otreg.plots.history import learning_curves
from keras_otreg.plots.plan import neuron_plan

__all__ = ["learning_curves", "neuron_plan"]
