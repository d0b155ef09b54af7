import re
from xml.etree import ElementTree

import numpy as np

from keras_otreg import plots


def test_a_figure_takes_the_colours_of_its_page(rng):
    curves = {"plain": rng.random((1, 4)), "transport": rng.random((1, 4))}
    figure = plots.learning_curves({"": curves}, np.arange(4), xlabel="epoch")
    text = plots.inline_svg(figure, "accuracy in each epoch")
    root = ElementTree.fromstring(text)
    assert root.get("aria-label") == "accuracy in each epoch"
    assert root.get("fill") == "currentColor"
    # It grows with its page.
    assert root.get("viewBox")
    assert root.get("width") is None
    assert root.get("height") is None
    assert "#000000" not in text
    assert {"--curve-0", "--curve-1"} <= set(re.findall(r"--curve-\d", text))
    assert ">epoch<" in text


def test_the_same_figure_is_the_same_text_whose_label_may_hold_quotes():
    label = 'the "plan" of <a & b>'
    text, again = (
        plots.inline_svg(plots.plan(np.eye(3)), label) for _ in range(2)
    )
    assert text == again
    assert 'class="picture"' in text
    root = ElementTree.fromstring(text)
    assert root.get("aria-label") == 'the "plan" of <a & b>'
