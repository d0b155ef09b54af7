"""Argument checks: the only place that words an argument error."""

from keras_otreg.checks import entries
from keras_otreg.checks.batches import data_set, labels, one_batch, some_batches
from keras_otreg.checks.cached import (
    as_written,
    cache_folder,
    same_activations,
    same_cache,
    undamaged_cache,
    whole_cache,
    writable_cache,
)
from keras_otreg.checks.data import (
    grey_or_colour,
    height_and_width,
    labelled_batch,
    one_picture_one_label,
    one_way_to_choose,
    preprocessing,
    still_pictures,
    train_split,
    unknown_network,
    unknown_set,
    unprepared,
)
from keras_otreg.checks.folders import (
    all_there,
    apart,
    outside,
    same_pictures,
    same_run,
    some_readable,
    whole_record,
    whole_result,
    whole_section,
)
from keras_otreg.checks.known import (
    array_samples,
    carried_layers,
    equal_samples,
    equally_known,
    finite_passes,
    known_precision,
    known_teacher,
    plain_inputs,
    readable_again,
    same_passes,
    some_penalties,
    steady_teacher,
    still_held,
)
from keras_otreg.checks.logs import metrics, penalties, penalty_names
from keras_otreg.checks.networks import (
    built_head,
    built_model,
    channels_last,
    known_layer,
    layer_path,
    misfit_head,
    misfit_loss,
    no_class_weight,
    paired_batch,
    pretrained_sizes,
    probabilities,
    separate_weights,
    single_tensor,
    some_layers,
    trained_adapters,
    uncopied_model,
    unshared_input,
)
from keras_otreg.checks.nonfinite import labels_in_range, nonfinite_step
from keras_otreg.checks.pictures import (
    class_names,
    equal_lengths,
    equal_series,
    named_cells,
    plan,
    some_values,
)
from keras_otreg.checks.saved import (
    no_file_of_keras_2,
    one_teacher,
    random_states,
    same_teacher,
    undamaged,
    whole_optimizer,
)
from keras_otreg.checks.shapes import (
    UNEQUAL_SIZES,
    class_counts,
    cost_matrix,
    equal_channels,
    equal_features,
    equal_inputs,
    joined_sizes,
    labelled_batches,
    one_label_each,
    pairable,
    same_samples,
    square,
)
from keras_otreg.checks.values import (
    count,
    finite_array,
    flag,
    folder,
    installed,
    instance_of,
    invalid,
    loss,
    no_batch_size,
    non_negative,
    number,
    one_of,
    one_or_two_flags,
    part,
    positive,
    sample_tuple,
    solver,
    unique,
    weight,
)
