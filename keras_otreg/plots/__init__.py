"""What a person looks at after training; needs matplotlib."""

from keras_otreg.plots.class_plan import class_plan
from keras_otreg.plots.feature_drift import feature_drift
from keras_otreg.plots.gains import gains
from keras_otreg.plots.growth import growth
from keras_otreg.plots.history import history
from keras_otreg.plots.inline import inline_svg
from keras_otreg.plots.layer_similarity import layer_similarity
from keras_otreg.plots.learning_curves import learning_curves
from keras_otreg.plots.matches import matches
from keras_otreg.plots.plan import plan

__all__ = [
    "class_plan",
    "feature_drift",
    "gains",
    "growth",
    "history",
    "inline_svg",
    "layer_similarity",
    "learning_curves",
    "matches",
    "plan",
]
