"""The page on the command line tells of every option, with its default."""

import argparse
import pathlib
import re

import pytest

import keras_otreg
from keras_otreg import __main__ as command_line
from keras_otreg.workflows.methods import Method
from keras_otreg.workflows.settings import DISTANCES, TITLES

ROOT = pathlib.Path(keras_otreg.__file__).parents[1]
PAGE = ROOT / "docs" / "pages" / "command_line.md"
HEADINGS = {
    "finetune": "Fine-tune",
    "joint": "Joint transfer",
}
OF_ALL = {"--seed", "--quiet", "--debug", "--help"}


def sections():
    """The text below each heading of the page."""
    page = PAGE.read_text(encoding="utf-8")
    parts = re.split(r"^#+ (.+)$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def shown(section):
    """The options in the tables of a section, with their defaults."""
    row = r"^\| `(--[\w-]+)( [^`]+)?` \| (.*?) ?\| .*\|$"
    found = re.findall(row, sections()[section], re.MULTILINE)
    return {name: (value.strip(), default) for name, value, default in found}


def commands(parser, name=""):
    """All commands that do something, with their names."""
    inner = [
        x for x in parser._actions if isinstance(x, argparse._SubParsersAction)
    ]
    if not inner and parser.description:
        yield name, parser
    for action in inner:
        for word, command in action.choices.items():
            yield from commands(command, f"{name} {word}".strip())


COMMANDS = dict(commands(command_line._parser()))


def taken(parser):
    """The options of a command: what they take, and their defaults."""
    for action in parser._actions:
        if action.option_strings:
            takes = "" if action.nargs == 0 else action.metavar or "METHOD"
            known = re.search(r"\(default: ([^;)]*)", action.help)
            default = "must be given" if action.required else ""
            default = known[1] if known else default
            yield action.option_strings[-1], (takes, default)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_table_of_its_command(name):
    titles = {name, name.capitalize(), HEADINGS.get(name)} & set(sections())
    (section,) = titles
    options = dict(taken(COMMANDS[name]))
    of_all = {x: options.pop(x) for x in shown("Every command")}
    assert set(of_all) == OF_ALL
    assert shown(section) == options


def test_the_version_is_told_of():
    assert "`--version`" in sections()["The command line"]


def test_the_strengths_of_the_methods_are_those_of_the_commands():
    row = r"^\| `([\w-]+)` \| .+ \| ([\d.]+) \|$"
    found = dict(re.findall(row, sections()["Fine-tune"], re.MULTILINE))
    for name in TITLES:
        settings = Method(name, {"layer": "layer"}, None).settings()
        key = "strength" if name in DISTANCES else "weight"
        assert float(found.pop(name)) == pytest.approx(settings[key]), name
    assert not found
