"""Every message that `checks` can word is on the page of troubles."""

import ast
import pathlib
import re

import keras_otreg

ROOT = pathlib.Path(keras_otreg.__file__).parents[1]
PAGE = ROOT / "docs" / "pages" / "troubleshooting.md"


def text(node):
    """The words of a message, with dots for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(text, node.values))
    if isinstance(node, ast.BinOp):
        return text(node.left) + text(node.right)
    return "..."


def messages():
    """What errors in `keras_otreg/checks` begin with."""
    for path in sorted((ROOT / "keras_otreg" / "checks").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id.endswith("Error"):
                yield " ".join(text(node.args[0]).split())


def rows():
    """The beginnings of messages on the page."""
    page = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"^\| (.+?) \| .+? \| .+? \|$", page, re.MULTILINE)
    return [row for row in found if row != "the message begins"]


def test_every_message_has_a_cause_and_a_cure():
    beginnings = tuple(rows())
    assert len(beginnings) > 50
    missing = [x for x in messages() if not x.startswith(beginnings)]
    assert not missing


def test_every_row_is_of_a_message():
    known = list(messages())
    stale = [
        row
        for row in rows()
        if not any(message.startswith(row) for message in known)
    ]
    assert not stale
