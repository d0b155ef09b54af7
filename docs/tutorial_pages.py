"""A hook of mkdocs for pages that are made from tutorials.

It removes TensorFlow's logs from the output of cells, and turns links to files
of the repository into links to their pages: mkdocs does this for Markdown only.
"""

import os
import re
import urllib.parse

from bs4 import BeautifulSoup

STREAMS = ".jp-RenderedText.jp-OutputArea-output"
# No setting silences the logs that TensorFlow writes while it is imported.
LOG = re.compile(
    r"[IWEF]\d{4} \d\d:\d\d:\d\d|To enable the following instructions|"
    r"WARNING: All log messages before absl|INFO:tensorflow:"
)


def on_page_content(html, page, config, files):
    """Clean the HTML of a tutorial; return that of other pages as it is."""
    if "jupyter-wrapper" not in html:
        return html
    tree = BeautifulSoup(html, "html.parser")
    remove_logs(tree)
    sources = {os.path.realpath(file.abs_src_path): file for file in files}
    for link in tree.find_all("a", href=True):
        link["href"] = page_of(link["href"], page.file, sources)
    return str(tree)


def remove_logs(tree):
    """Remove TensorFlow's log lines; warnings of Python stay."""
    for block in tree.select(STREAMS):
        lines = block.pre.get_text().splitlines(keepends=True)
        kept = [line for line in lines if not LOG.match(line)]
        if not kept:
            block.parent.decompose()
        elif kept != lines:
            block.pre.string = "".join(kept)


def page_of(link, start, sources):
    """Return the link to the page of a source file, or the link itself."""
    url = urllib.parse.urlsplit(link)
    if url.scheme or url.netloc or not url.path:
        return link
    folder = os.path.dirname(os.path.realpath(start.abs_src_path))
    source = sources.get(os.path.realpath(os.path.join(folder, url.path)))
    if source is None:
        return link
    return url._replace(path=source.url_relative_to(start)).geturl()
