"""A hook of mkdocs: takes TensorFlow's logs out of what tutorials print."""

import re

from bs4 import BeautifulSoup

STREAMS = ".jp-RenderedText.jp-OutputArea-output"
# No setting of TensorFlow silences those of before it is imported.
LOG = re.compile(
    r"[IWEF]\d{4} \d\d:\d\d:\d\d|To enable the following instructions|"
    r"WARNING: All log messages before absl|INFO:tensorflow:"
)


def on_page_content(html, **kwargs):
    """Leaves warnings of Python where they are."""
    if "jupyter-wrapper" not in html:
        return html
    page = BeautifulSoup(html, "html.parser")
    for block in page.select(STREAMS):
        lines = block.pre.get_text().splitlines(keepends=True)
        kept = [line for line in lines if not LOG.match(line)]
        if not kept:
            block.parent.decompose()
        elif kept != lines:
            block.pre.string = "".join(kept)
    return str(page)
