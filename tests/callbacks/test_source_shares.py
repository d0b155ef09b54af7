import keras
import numpy as np
import pytest

import keras_otreg as otreg

LOSS = "sparse_categorical_crossentropy"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_shares_are_those_of_the_features_when_an_epoch_begins(rng):
    centres = 3.0 * rng.normal(size=(4, 6)).astype("float32")
    source_y, target_y = np.arange(40) % 4, np.arange(20) % 2
    source_x = centres[source_y] + rng.normal(size=(40, 6)) * 0.1
    # Target class 0 is like source class 3, and 1 like 1.
    target_x = centres[np.array([3, 1])[target_y]]
    inputs = keras.Input((6,))
    scale = keras.layers.Dense(
        6, kernel_initializer="identity", name="features"
    )
    outputs = keras.layers.Dense(2, "softmax")(scale(inputs))
    task = otreg.SourceTask(keras.layers.Dense(4, "softmax"), "features", LOSS)
    model = otreg.TransferModel(keras.Model(inputs, outputs), source_task=task)
    model.compile("sgd", LOSS)
    shares = otreg.callbacks.SourceShares(
        *([(source_x, source_y)], [(target_x, target_y)], "features"),
        every=2,
        epsilon=0.05,
    )
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(shares())
            # All classes are alike from here on.
            scale.kernel.assign(np.zeros((6, 6)))

    data = otreg.data.paired(
        (target_x, target_y), (source_x, source_y), source_shares=shares
    )
    model.fit(data, epochs=3, callbacks=[shares, Watch()], verbose=0)
    near, kept, alike = seen
    assert near[[1, 3]].sum() > 0.95
    assert kept is near
    np.testing.assert_allclose(alike, 0.25, atol=1e-3)
