"""The last convolution of Lite0 and a head, trained from solved heads."""

import keras
import numpy as np
from joint_tasks import PLACE, upper
from labelling_tasks import PARTS, ROUNDS, SIZE, kept

from keras_otreg.callbacks import SelfTraining
from keras_otreg.data import (
    efficientnet_lite0,
    picture_parts,
    read_pictures,
    with_labels,
)
from keras_otreg.data.batches import batches_of
from keras_otreg.heads import targets_of, weights_of
from keras_otreg.labelling.rounds import BestWeights

BATCH = 64
# Steps of a round, at least: it is the smallest number of epochs.
STEPS = 40
RATES = (1e-4, 3e-4, 1e-3)


def activations(folder, cache):
    """What the last convolution gets for all pictures of a folder."""

    def made():
        whole = efficientnet_lite0((SIZE, SIZE, 3), False)
        below = keras.Model(whole.input, whole.get_layer(PLACE).output)
        found = {}
        for part, files in picture_parts(folder).items():
            pictures = read_pictures(files, (SIZE, SIZE), 64)
            x = below.predict(pictures.map(lambda x, y: x), verbose=0)
            found[part] = x.astype("float16")
            found[f"{part} labels"] = files.labels
        return found

    found = kept(cache / f"{folder.name}-{SIZE}-{PLACE}.npz", made)
    return {
        part: (found[part].astype("float32"), found[f"{part} labels"])
        for part in PARTS
    }


class UpperLayers:
    """A compiled network on activations, which starts anew for each draw.

    To make and to trace a network takes longer than to train it.
    """

    def __init__(self, parts, classes):
        self._parts, self._classes = parts, classes
        self._body = upper(efficientnet_lite0((SIZE, SIZE, 3)))
        self._head = keras.layers.Dense(classes, activation="softmax")
        outputs = self._head(self._body.output)
        self.network = keras.Model(self._body.input, outputs)
        self._pretrained = self._body.get_weights()
        self.network.compile(
            keras.optimizers.Adam(),
            "categorical_crossentropy",
            metrics=["categorical_accuracy"],
            jit_compile=False,
        )
        self.network.optimizer.build(self.network.trainable_variables)

    def restart(self, head, rate):
        """Give the network its first weights, a head and a new optimizer."""
        self._body.set_weights(self._pretrained)
        self._head.set_weights([head[:-1], head[-1]])
        optimizer = self.network.optimizer
        for variable in optimizer.variables:
            variable.assign(np.zeros(variable.shape))
        optimizer.learning_rate = rate

    def trained(self, draw, seed, shares):
        """Train on labelled pictures, and on all others if there are shares.

        Returns features and labels of the parts that are held out, and the
        weights of the head. The weights are those of the best round.
        """
        x = self._parts["train"][0]
        more, own = x[draw.rest], (x[draw.few], draw.y)
        steps = -(-len(more) // (BATCH // 2))
        epochs = -(-STEPS // steps)
        if shares is None:
            self._train_alone(own, steps * epochs, seed)
        else:
            held = self._parts["validation"]
            rounds = SelfTraining(more, ROUNDS, shares=shares, validation=held)
            data = with_labels(own, (more, rounds), batch_size=BATCH, seed=seed)
            self.network.fit(
                data, epochs=ROUNDS * epochs, verbose=0, callbacks=[rounds]
            )
        held = {part: self._parts[part] for part in PARTS[1:]}
        return {
            part: (self._body.predict(x, verbose=0), y)
            for part, (x, y) in held.items()
        }, weights_of(self._head)

    def _train_alone(self, own, steps, seed):
        """The same number of steps, with labelled pictures alone."""
        x, y = self._parts["validation"]
        y = targets_of(y, self._classes)
        own = own[0], targets_of(own[1], self._classes)
        best = BestWeights(self.network)
        for number in range(ROUNDS + 1):
            best.look(self.network.evaluate(x, y, verbose=0)[1])
            if number < ROUNDS:
                sizes = {"batch_size": BATCH}
                order = ROUNDS * seed + number
                data = batches_of(own, "labelled", sizes, order, endless=True)
                self.network.fit(data.take(steps), verbose=0)
        best.restore()
