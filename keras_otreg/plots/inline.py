"""Figures inside of a page, in the page's own colours."""

import html
import io
import re
from typing import Any

from keras_otreg import checks
from keras_otreg.plots.figure import ON_LIGHT


def inline_svg(figure: Any, label: str) -> str:
    """A figure as an `<svg>` element, which grows and shrinks with its page.

    Black becomes `currentColor`, and the colours of curves become variables of
    the page, `--curve-0` to `--curve-3`, if it has them: a dark page has a
    dark figure. Images in it have the class `picture`.

    Args:
        figure: A `matplotlib.figure.Figure`.
        label: What is to be seen, for those who cannot.

    Returns:
        Text for a page of HTML.

    Raises:
        ImportError: If matplotlib is not installed.

    Example:
        ```python
        figure = gains({"my task": {"transport": (0.04, 0.02, 0.06)}})
        page = f"<figure>{inline_svg(figure, 'what is gained')}</figure>"
        ```
    """
    matplotlib = checks.installed("matplotlib", "plots", "Pictures")
    buffer = io.StringIO()
    # Letters stay letters, in the font of the page.
    style = {"svg.fonttype": "none", "svg.hashsalt": label}
    with matplotlib.rc_context(style):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None}
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = text.replace("<image ", '<image class="picture" ')
    spoken = html.escape(label)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{spoken}" ', 1)
    # Text has no colour of its own, and would be black.
    text = text.replace("<svg ", '<svg fill="currentColor" ', 1)
    text = re.sub("#000000", "currentColor", text)
    for number, color in enumerate(ON_LIGHT):
        variable = f"var(--curve-{number}, {color})"
        text = re.sub(color, variable, text, flags=re.IGNORECASE)
    return text
