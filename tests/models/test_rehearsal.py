import pytest

import keras_otreg as otreg


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_step_is_traced_once(make_network, samples, compiled, jit_compile):
    class Counted(otreg.TransferModel):
        traced = 0

        def train_step(self, data):
            type(self).traced += 1
            return super().train_step(data)

    loss = otreg.losses.RepresentationTransport()
    penalty = otreg.Penalty(loss, at="backbone/features")
    model = compiled(
        Counted(make_network(), penalties=[penalty]), jit_compile=jit_compile
    )
    model.fit(*samples, batch_size=22, epochs=2, verbose=0)
    assert Counted.traced == 1
    assert model.optimizer.iterations == 2
