"""Reads a comparison from a file that a person wrote."""

import dataclasses
import pathlib
from typing import Any

from keras_otreg import checks
from keras_otreg.benchmark.accuracy.comparison import Comparison, Protocol
from keras_otreg.benchmark.accuracy.entries import (
    Entry,
    FolderTask,
    Method,
    SmallTask,
)
from keras_otreg.benchmark.accuracy.learners import LEARNERS, penalties

PACKAGED = pathlib.Path(__file__).with_name("accuracy.yaml")
KINDS = {"small": SmallTask, "folder": FolderTask}


def read(path: pathlib.Path = PACKAGED) -> Comparison:
    """Reads a comparison from a YAML file.

    Args:
        path: A file like the packaged one, which explains itself.

    Returns:
        The `Comparison`.

    Raises:
        ImportError: If PyYAML is not installed.
        OSError: If the file cannot be read.
        ValueError: If it says something unknown, in one line.
    """
    yaml = checks.installed("yaml", "benchmark", "Files of tasks")
    text = path.read_text(encoding="utf-8")
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise checks.not_yaml(error) from error
    parts = ("protocol", "tasks", "methods")
    content = checks.entry(content, parts, ("tasks", "methods"), "the file")
    tasks = tuple(
        _task(name, value) for name, value in _named(content, "tasks")
    )
    methods = tuple(
        _method(name, value) for name, value in _named(content, "methods")
    )
    protocol = _made(Protocol, content.get("protocol", {}), "protocol")
    return _checked(Comparison(protocol, tasks, methods))


def _named(content, part):
    named = content[part]
    return checks.entry(named, named, (), part).items()


def _task(name: str, value: Any) -> Entry:
    value = dict(value) if isinstance(value, dict) else {}
    kind = checks.one_of(value.pop("kind", "small"), KINDS, f"{name}: kind")
    return _made(KINDS[kind], value, name, name=name)


def _method(name: str, value: Any) -> Method:
    method = _made(Method, value, name, name=name)
    checks.one_of(method.uses, LEARNERS, f"{name}: uses")
    if method.uses == "penalties":
        # A loss that cannot be made is found before anything is trained.
        penalties(method, [("layer", "layer")], 1.0)
    return method


def _made(kind, value, where, **known):
    fields = {field.name: field for field in dataclasses.fields(kind)}
    required = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    value = checks.entry(
        value, set(fields) - set(known), set(required) - set(known), where
    )
    value = {
        name: tuple(x) if isinstance(x, list) else x
        for name, x in value.items()
    }
    try:
        return kind(**known, **value)
    except TypeError as error:
        raise checks.arguments(where, error) from error


def _checked(comparison):
    names = [method.name for method in comparison.methods]
    protocol = comparison.protocol
    checks.count(protocol.seeds, "protocol: seeds")
    checks.count(protocol.draws, "protocol: draws")
    checks.one_of(protocol.baseline, names, "protocol: baseline")
    checks.one_of(protocol.shown, names, "protocol: shown")
    for name in protocol.also:
        checks.one_of(name, names, "protocol: also")
    for task in comparison.tasks:
        for name in task.methods:
            checks.one_of(name, names, f"{task.name}: methods")
    checks.equal_trials(
        {x.name: len(x.strengths) for x in comparison.methods if x.strengths}
    )
    return comparison
