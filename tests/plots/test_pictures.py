"""Every figure, compared with a picture that a person looked at."""

import numpy as np
import pytest

from keras_otreg import plots


@pytest.fixture
def plan(rng):
    """Some neurons that stay, some that swap, and some that are blurred."""
    P = np.eye(20)
    P[[3, 7]] = P[[7, 3]]
    P[14:] = 0.02 + rng.random((6, 20)) * (np.arange(20) >= 14)
    return P / P.sum()


def drawn_plan(rng, plan):
    return plots.plan({"before": plan, "after": plan}, aligned=["after"])


def drawn_classes(rng, plan):
    return plots.class_plan(plan[:, :5], "ABCDEFGHIJKLMNOPQRST", "01234")


def drawn_history(rng, plan):
    falling = np.exp(-np.arange(8) / 3.0)
    return plots.history(
        {"loss": falling, "val_loss": falling + 0.1, "entropy": 1.0 - falling}
    )


def drawn_matches(rng, plan):
    x = rng.random((40, 20))
    return plots.matches(plan, x, x + 0.1 * rng.random((40, 20)), count=2)


def drawn_matches_of_pictures(rng, plan):
    x = rng.random((40, 20))
    y = x + 0.1 * rng.random((40, 20))
    # The larger the answer of the first neuron, the higher the bar.
    heights = np.arange(8)[None, :, None] < 8.0 * x[:, :1, None]
    pictures = np.broadcast_to(heights, (40, 8, 8))
    return plots.matches(plan, x, y, pictures=pictures, count=2)


def drawn_similarity(rng, plan):
    values = np.exp(-np.abs(np.arange(4)[:, None] - 1.5 * np.arange(3)))
    values[3, 0] = np.nan
    return plots.layer_similarity(
        values,
        ["stem", "block1", "block2", "head"],
        ["conv1", "conv2", "features"],
        pairs=[("stem", "conv1"), ("head", "features")],
        title="which layer is like which",
        label="CKA",
    )


def drawn_drift(rng, plan):
    depth = np.arange(1, 6)
    return plots.feature_drift(
        {f"stage{k}": k * (1.0 - np.exp(-np.arange(1, 9) / 4)) for k in depth}
    )


def drawn_drift_at_once(rng, plan):
    return plots.feature_drift({"stem": 0.01, "stage1": 0.2, "features": 0.9})


def drawn_curves(rng, plan):
    curves = np.linspace(0.5, 0.8, 6) + 0.02 * rng.normal(size=(5, 6))
    panels = {"first": {"plain": curves, "transport": curves + 0.1}}
    return plots.learning_curves(panels, np.arange(6))


def drawn_gains(rng, plan):
    found = {"good": (0.2, 0.1, 0.3), "bad": (-0.2, -0.3, -0.1)}
    return plots.gains({"task": {**found, "level": (0.0, -0.1, 0.1)}})


DRAWN = {
    name.removeprefix("drawn_"): function
    for name, function in list(globals().items())
    if name.startswith("drawn_")
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_looks_as_it_did(name, background, looks_as_before, rng, plan):
    shade = {"default": "light", "dark_background": "dark"}[background]
    looks_as_before(DRAWN[name](rng, plan), f"{name}-{shade}")


@pytest.mark.parametrize("name", DRAWN)
def test_all_axes_are_labelled(name, rng, plan):
    figure = DRAWN[name](rng, plan)
    for axes in figure.axes:
        if axes.get_label() == "<colorbar>":
            assert axes.get_ylabel()
        elif axes.get_xticks().size:
            # What the rows of a panel of methods are, their names say.
            assert axes.get_ylabel() or axes.get_title() == "task"
            assert axes.get_xlabel()


@pytest.mark.parametrize("epochs", [1, 2, 4])
@pytest.mark.parametrize("kind", ["history", "drift", "curves"])
def test_epochs_are_whole_numbers(kind, epochs):
    values = np.linspace(0.2, 0.5, epochs)
    steps = np.arange(1, epochs + 1)
    figure = {
        "history": lambda: plots.history({"loss": values}),
        "drift": lambda: plots.feature_drift({"stem": values}),
        "curves": lambda: plots.learning_curves(
            {"task": {"plain": values[None]}}, steps, xlabel="epoch"
        ),
    }[kind]()
    ticks = figure.axes[0].get_xticks()
    np.testing.assert_array_equal(ticks, np.round(ticks))


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.gains({"task": {}}),
        lambda: plots.learning_curves({"task": {}}, [1]),
        lambda: plots.feature_drift({"stem": []}),
        lambda: plots.layer_similarity([[np.nan]], "a", "b"),
    ],
)
def test_nothing_to_draw_is_refused(draw):
    with pytest.raises(ValueError, match="Expected.*at least one.*Received"):
        draw()


def test_a_plan_that_moves_nothing_is_drawn_as_no_share():
    P = np.zeros((3, 2))
    for figure in (plots.plan(P), plots.class_plan(P, "abc", "01")):
        (image,) = figure.axes[0].images
        assert image.norm(0.0) == 0.0
        assert image.get_clim() == (0.0, 1.0)
