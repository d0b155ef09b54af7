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
    classes_not_parts,
    enough_of_each,
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
    apart,
    enough_pictures,
    known_classes,
    outside,
    part_to_train_on,
    same_pictures,
    same_run,
    some_readable,
    whole_record,
    whole_result,
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
from keras_otreg.checks.logs import metrics, penalties
from keras_otreg.checks.networks import (
    built_head,
    built_model,
    called_once,
    channels_last,
    chosen_call,
    known_layer,
    layer_path,
    misfit_head,
    misfit_loss,
    only_layer,
    paired_batch,
    pretrained_sizes,
    probabilities,
    separate_weights,
    single_tensor,
    some_layers,
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
    one_teacher,
    random_states,
    same_teacher,
    undamaged,
)
from keras_otreg.checks.shapes import (
    channel_weights,
    class_counts,
    cost_matrix,
    equal_channels,
    equal_features,
    equal_inputs,
    equal_ranks,
    equal_widths,
    feature_pair,
    known_shape,
    known_sizes,
    labelled_batches,
    one_label_each,
    one_weight_each,
    one_weight_per_channel,
    pairable,
    same_samples,
    some_positions,
    some_units,
    square,
)
from keras_otreg.checks.starting_points import (
    axis_of,
    equal_neuron_inputs,
    equal_shapes,
)
from keras_otreg.checks.transport import (
    potentials,
    prices,
    strength,
    weights_of_costs,
)
from keras_otreg.checks.tuning import (
    compiled,
    direction,
    interval,
    untrained,
    whole_search,
)
from keras_otreg.checks.values import (
    count,
    finite_array,
    flag,
    folder,
    installed,
    instance_of,
    loss,
    no_batch_size,
    non_negative,
    number,
    one_of,
    one_or_two_flags,
    part,
    positive,
    sample_tuple,
    several_classes,
    share,
    solver,
    unique,
    weight,
)
