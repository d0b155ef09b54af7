"""Every message that the package words is on the page of troubles."""

import ast
import functools
import pathlib
import re

import keras_otreg

PACKAGE = pathlib.Path(keras_otreg.__file__).parent
PAGE = PACKAGE.parent / "docs" / "pages" / "troubleshooting.md"
# Python asks for this one, and what it says is Python's.
OF_PYTHON = "AttributeError"
# They word an error from what was expected and what was received.
HELPERS = ("invalid", "checks.invalid", "require", "checks.require")


@functools.cache
def files():
    """The nodes of each file, its module first."""
    paths = sorted(PACKAGE.rglob("*.py"))
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in paths)
    return [list(ast.walk(tree)) for tree in trees]


def text(node, known=()):
    """The words of a message, with dots for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(text, node.values))
    if isinstance(node, ast.BinOp):
        return text(node.left) + text(node.right)
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    return "..."


def named(nodes):
    """What is assigned to a name, in words."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.Assign):
            found[ast.unparse(node.targets[0])] = text(node.value)
    return found


def function_of(node):
    is_call = isinstance(node, ast.Call) and node.args
    return ast.unparse(node.func) if is_call else ""


def is_told(node):
    """Whether code makes an error, or warns."""
    name = function_of(node)
    is_error = name.endswith("Error") and name != OF_PYTHON
    return is_error or name in ("warnings.warn", *HELPERS)


def worded(node, known):
    """The message of an error or a warning."""
    name = function_of(node)
    if name.endswith("require"):
        argument, expected = (text(x, known) for x in node.args[2:4])
        place = f"Invalid value for argument `{argument}`. "
        return f"{place}Expected {expected}. Received: ..."
    first = text(node.args[0], known)
    if name not in HELPERS:
        return first
    expected = f"Expected {first}. Received: ..."
    for keyword in node.keywords:
        if keyword.arg == "argument":
            name = text(keyword.value)
            return f"Invalid value for argument `{name}`. {expected}"
    return expected


@functools.cache
def messages():
    """What errors and warnings begin with."""
    constants = {k: v for x in files() for k, v in named(x[0].body).items()}
    found = []
    for nodes in files():
        known = {**constants, **named(nodes)}
        found += [worded(x, known) for x in nodes if is_told(x)]
    # What is passed on is worded elsewhere.
    return [" ".join(x.split()) for x in found if x.strip(".")]


@functools.cache
def strings():
    """All that the package may say."""
    kinds = ast.Constant | ast.JoinedStr
    nodes = (x for found in files() for x in found)
    return [" ".join(text(x).split()) for x in nodes if isinstance(x, kinds)]


def rows():
    """The beginnings of messages on the page."""
    page = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"^\| (.+?) \| .+? \| .+? \|$", page, re.MULTILINE)
    return [row for row in found if row != "the message begins"]


def test_errors_of_arguments_say_what_was_expected_and_received():
    wrong = []
    for nodes in files():
        raised = [x for x in nodes if isinstance(x, ast.Raise) and x.exc]
        # What another error says is passed on.
        own = [x.exc for x in raised if x.cause is None]
        told = [x for x in own if function_of(x) in ("ValueError", *HELPERS)]
        known = named(nodes)
        said = [worded(x, known) for x in told]
        wrong += [x for x in said if not re.search("xpected.*eceived", x, re.S)]
    # Of a name, and not of a value.
    assert all(
        "no layer at path" in x or "saved only under" in x for x in wrong
    )


def test_every_message_has_a_cause_and_a_cure():
    beginnings = tuple(rows())
    assert len(beginnings) > 50
    assert len(messages()) > 100
    missing = [
        x
        for x in messages()
        if not x.startswith(beginnings)
        and not re.sub("`.+?`", "`...`", x, count=1).startswith(beginnings)
    ]
    assert not missing


def test_every_row_is_of_a_message():
    known = [*messages(), *strings()]
    stale = [
        row
        for row in rows()
        if not any(message.startswith(row) for message in known)
    ]
    assert not stale


def test_no_row_is_of_an_argument_whatever_is_wrong_with_it():
    alone = r"Invalid value for argument `\w+`\.?"
    assert not [row for row in rows() if re.fullmatch(alone, row)]
