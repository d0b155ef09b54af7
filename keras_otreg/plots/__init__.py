"""What a person looks at after training; needs matplotlib."""

from keras_otreg.plots.class_plan import class_plan
from keras_otreg.plots.gains import gains
from keras_otreg.plots.growth import growth
from keras_otreg.plots.history import learning_curves
from keras_otreg.plots.plan import neuron_plan

__all__ = ["class_plan", "gains", "growth", "learning_curves", "neuron_plan"]
