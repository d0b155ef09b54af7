"""Parts of a page of the documentation, and what stands in them."""

import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from keras_otreg import checks
from keras_otreg.files import whole


def write_section(page: pathlib.Path, name: str, paragraphs: list[str]) -> None:
    """Replaces one section of a Markdown page; the rest stays as it is.

    Args:
        page: The file; made if it is not there.
        name: Of the section. The option `--page` of a benchmark writes it.
        paragraphs: What it is to say.

    Raises:
        ValueError: If one of the marks around the section is lost.
    """
    begin = f"<!-- {name}: written by `--page` -->"
    end = f"<!-- {name}: end -->"
    text = page.read_text(encoding="utf-8") if page.exists() else "# Results\n"
    checks.whole_section(text, begin, end, page)
    before, after = f"{text.rstrip()}\n\n", "\n"
    if begin in text:
        before, rest = text.split(begin)
        after = rest.split(end)[1]
    section = "\n\n".join([begin, *paragraphs, end])
    page.parent.mkdir(parents=True, exist_ok=True)
    with whole(page) as unfinished:
        unfinished.write_text(f"{before}{section}{after}", encoding="utf-8")


def origin(
    about: dict[str, Any], program: str = "python -m keras_otreg"
) -> tuple[str, str]:
    """A paragraph with the command of a run, and what it ran on, in words.

    Args:
        about: What `write_about` wrote, without what is said elsewhere.
        program: What the command is of.
    """
    on = "; ".join(f"{k} {v}" for k, v in about.items() if k != "command")
    # Where its tables went is of no use to those who repeat it.
    command = re.sub(r"(--out )('.*?'|\S+)", r"\1DIR", about["command"])
    return f"Command: `{program} {command}`", on


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown.

    Args:
        header: The titles of the columns.
        rows: The lines, with a value for each column.
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
