import inspect
import types

import keras
import keras_tuner
import pytest

from keras_otreg import losses
from keras_otreg.losses.base import default_name
from keras_otreg.tuning import objective
from keras_otreg.tuning.search import warn_of_total

# What each metric of Keras is called in the logs, and where it should go.
UP = {
    "accuracy",
    "acc",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "top_k_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "auc",
    "precision",
    "recall",
    "precision_at_recall",
    "recall_at_precision",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
    "true_positives",
    "true_negatives",
    "f1_score",
    "fbeta_score",
    "r2_score",
    "io_u",
    "binary_io_u",
    "mean_io_u",
    "one_hot_io_u",
    "one_hot_mean_io_u",
    "cosine_similarity",
    "pearson_correlation",
    "concordance_correlation",
}
DOWN = {
    "mean_squared_error",
    "root_mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "mse",
    "mae",
    "mape",
    "msle",
    "logcosh",
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "kl_divergence",
    "poisson",
    "hinge",
    "squared_hinge",
    "categorical_hinge",
    "false_positives",
    "false_negatives",
}
OURS = {
    "representation_transport",
    "transport",
    "target_loss",
    "source_loss",
    "source_transport",
    "cka",
    "representation_transport_iterations",
    "representation_transport_marginal_error",
    "representation_transport_skipped",
}
# A part of each is the name of a loss or of a metric.
OF_OTHERS = {
    "dice_coef",
    "tversky_index",
    "hint_r2",
    "brier_score",
    "neg_mean_squared_error",
    "head_accuracy",
    "transport_alignment_stage1",
    "loss_scale",
    # A loss of Keras, and a score of others.
    "dice",
}


def logged(names):
    return [x for name in names for x in (name, f"val_{name}", f"val_{name}_1")]


def test_what_is_better_when_higher_is_maximised():
    for name in logged(UP):
        assert objective(name) == keras_tuner.Objective(name, "max")


def test_what_is_better_when_lower_is_minimised():
    for name in logged(DOWN | OURS):
        assert objective(name) == keras_tuner.Objective(name, "min")


def test_no_direction_is_guessed_from_a_part_of_a_name():
    for name in logged(OF_OTHERS):
        with pytest.raises(ValueError, match=f"'{name}'.*direction='max'"):
            objective(name)
        assert objective(name, "max").direction == "max"


@pytest.mark.parametrize(
    "reading", ["entropy", "mass", "permuted", "gradient_share"]
)
def test_of_what_is_neither_good_nor_bad_the_direction_is_asked(reading):
    name = f"representation_transport_{reading}"
    with pytest.raises(ValueError, match="direction='max'"):
        objective(name)
    assert objective(name, "min").direction == "min"


def test_the_accuracy_on_the_validation_data_is_the_default():
    assert objective() == keras_tuner.Objective("val_accuracy", "max")


def test_every_metric_of_keras_is_on_one_of_the_lists():
    aggregates = {"Mean", "MeanMetricWrapper", "Metric", "Sum"}
    required = {"num_classes": 2, "target_class_ids": [0]}
    for name, value in vars(keras.metrics).items():
        if inspect.isclass(value) and name not in aggregates:
            parameters = inspect.signature(value).parameters.values()
            missing = {
                p.name: required.get(p.name, 0.5)
                for p in parameters
                if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
            }
            assert value(**missing).name in UP | DOWN


def test_every_loss_of_the_package_is_minimised():
    for name in losses.__all__:
        kind = getattr(losses, name)
        logged_as = default_name(kind)
        assert objective(f"val_{logged_as}").direction == "min"


@pytest.mark.parametrize("name", ["val_loss", "loss"])
def test_the_total_is_optimised_only_under_protest(name):
    with pytest.warns(UserWarning, match=r"contains the penalties.*accuracy"):
        found = objective(name)
    assert found.direction == "min"


def test_each_of_several_objectives_is_looked_at():
    goals = [objective("val_auc"), keras_tuner.Objective("val_loss", "min")]
    with pytest.warns(UserWarning, match="contains the penalties"):
        warn_of_total(types.SimpleNamespace(objectives=goals))


def test_a_metric_of_ones_own_needs_its_direction():
    with pytest.raises(ValueError, match=r"'val_near'.*direction='max'"):
        objective("val_near")
    assert objective("val_near", "min").direction == "min"
    with pytest.raises(ValueError, match=r"\['max', 'min'\].*'up'"):
        objective("val_near", "up")
    with pytest.raises(ValueError, match="name of a metric"):
        objective(3)
