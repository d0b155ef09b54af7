"""Checks that many files share, and the wording of argument errors."""

from keras_otreg.checks.networks import (
    built_model,
    channels_last,
    known_layer,
    layer_path,
    near,
    single_tensor,
    some_layers,
)
from keras_otreg.checks.runs import same_run, undamaged
from keras_otreg.checks.samples import (
    class_shares,
    conditional,
    cost_matrix,
    equal_channels,
    equal_features,
    finite_passes,
    labelled_batch,
    one_label_each,
    probabilities,
    same_samples,
    sample_tuple,
    some_batches,
    square,
)
from keras_otreg.checks.values import (
    count,
    finite_array,
    flag,
    folder,
    height_and_width,
    installed,
    instance_of,
    invalid,
    loss,
    non_negative,
    number,
    one_of,
    one_or_two_flags,
    positive,
    solver,
    unique,
    weight,
)
