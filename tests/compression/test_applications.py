"""Every family of networks in `keras.applications` can be narrowed."""

import keras
import numpy as np
import pytest

from keras_otreg.compression import narrow
from keras_otreg.compression.channels import Traced
from keras_otreg.compression.narrowing import widths_of
from keras_otreg.compression.resources import ResourceModel, summary_rows

# The least size of a picture that a network takes, and what of its
# operations stays at half the width: about a quarter, or more where layers
# keep their width.
FAMILIES = {
    "ConvNeXtTiny": (32, 0.54),
    "DenseNet121": (32, 0.27),
    "EfficientNetB0": (32, 0.29),
    "EfficientNetV2B0": (32, 0.27),
    "InceptionResNetV2": (75, 0.41),
    "InceptionV3": (75, 0.26),
    "MobileNet": (32, 0.27),
    "MobileNetV2": (32, 0.29),
    "MobileNetV3Small": (32, 0.29),
    "NASNetMobile": (32, 0.34),
    "ResNet50": (32, 0.27),
    "ResNet50V2": (32, 0.27),
    "VGG16": (32, 0.26),
    "Xception": (71, 0.26),
}
# Each has layers that the others lack.
IN_CI = (
    "ConvNeXtTiny",
    "MobileNetV3Small",
    "ResNet50V2",
)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            x, marks=pytest.mark.slow if x in IN_CI else pytest.mark.release
        )
        for x in FAMILIES
    ],
)
def test_half_the_width_costs_what_was_promised(name, tmp_path):
    size, share = FAMILIES[name]
    make = getattr(keras.applications, name)
    teacher = make(weights=None, input_shape=(size, size, 3), classes=10)
    traced = Traced(teacher)
    promised = ResourceModel(traced)(widths_of(traced, 0.5))
    student = narrow(teacher, 0.5)
    rows = [row.resources for row in summary_rows(student)]
    assert sum(resources.flops for resources in rows) == promised.flops
    assert student.count_params() == promised.parameters
    full = sum(row.resources.flops for row in summary_rows(teacher))
    assert promised.flops / full < share
    x = np.random.default_rng(0).uniform(0, 255, (2, size, size, 3))
    student.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again(x), student(x))
