"""Comparisons from YAML files."""

import functools
import inspect
import pathlib
import typing
from collections.abc import Mapping
from typing import Any

from keras_otreg import checks
from keras_otreg.benchmark.comparison import Comparison, Natural, Task
from keras_otreg.benchmark.pictures import FolderTask
from keras_otreg.experiments import methods

PACKAGED = pathlib.Path(__file__).with_name("accuracy.yaml")
KINDS: dict[str, type[Task]] = {"folder": FolderTask}


def read(
    path: pathlib.Path = PACKAGED, kinds: Mapping[str, type[Task]] = KINDS
) -> Comparison:
    """Read a comparison from a YAML file like the packaged one.

    Tasks are of the first of some kinds if they do not name another.
    """
    found, parts = _strict_yaml(path.read_text("utf-8")), ("tasks", "methods")
    content = _entry(found, ("protocol", *parts), parts, "the file")
    known = {
        "tasks": _all(functools.partial(_task, kinds), content, "tasks"),
        "methods": _all(_method, content, "methods"),
    }
    settings = content.get("protocol", {})
    return _checked(_made(Comparison, settings, "protocol", **known))


def _strict_yaml(text):
    """Plain values from YAML, of which a repeated key is an error."""
    yaml = checks.installed("yaml", "benchmark", "Files of tasks")

    class Loader(yaml.SafeLoader):
        def compose_mapping_node(self, anchor):
            # Before other mappings are merged into it.
            node = super().compose_mapping_node(anchor)
            line = node.start_mark.line + 1
            keys = [str(key.value) for key, _ in node.value]
            remedy = f"Leave one out of what begins in line {line}."
            checks.unique(keys, "keys", remedy)
            return node

    try:
        # A `SafeLoader`: it makes no objects of classes that a file names.
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise checks.invalid("a YAML file", reason) from error


def _all(make, content, part):
    entries = checks.instance_of(content[part], dict, part, "keys and values")
    named = (isinstance(x, str) and x.isprintable() for x in entries)
    if not entries or not all(named) or not all(map(str.strip, entries)):
        raise checks.invalid(
            "at least one name, and names that are text of one line: put a "
            "number or a date in quotes",
            f"names {[*entries]}",
            argument=part,
        )
    return tuple(make(*entry) for entry in entries.items())


def _entry(value, allowed, required, where):
    """The keys and values of an entry, all of them known."""
    checks.instance_of(value, dict, where, "keys and values")
    unknown = sorted(map(str, set(value) - set(allowed)))
    missing = sorted(set(required) - set(value))
    if unknown or missing:
        raise checks.invalid(
            f"keys among {sorted(allowed)}, of which {sorted(required)} cannot "
            "be left out",
            f"unknown {unknown}, missing {missing}",
            argument=where,
        )
    return dict(value)


def _task(kinds, name, value):
    value = dict(value) if isinstance(value, dict) else {}
    kind = checks.one_of(
        value.pop("kind", next(iter(kinds))), kinds, f"{name}: kind"
    )
    return _made(kinds[kind], value, name, name=name)


def _method(name: str, value: Any) -> methods.Method:
    method = _made(methods.Method, value, name, name=name)
    checks.one_of(method.uses, methods.LEARNERS, f"{name}: uses")
    if method.uses not in methods.WITHOUT_STRENGTH and not method.strengths:
        raise checks.invalid(
            "`strengths`, a list of at least one number above 0, for a method "
            f"that uses {method.uses!r}",
            "none",
            argument=name,
        )
    if method.uses == "penalties":
        # A loss that cannot be made is found before anything is trained.
        methods.penalties(method, [("layer", "layer")], 1.0)
    return method


def _made(kind, value, where, **known):
    """An entry, made of its keys and values and of what is known."""
    fields = dict(inspect.signature(kind).parameters)
    fields = {name: x for name, x in fields.items() if name not in known}
    required = {name for name, x in fields.items() if x.default is x.empty}
    found = {
        name: _typed(one, fields[name].annotation, f"{where}: {name}")
        for name, one in _entry(value, fields, required, where).items()
    }
    return kind(**known, **found)


def _typed(value, kind, name):
    """A value of a file, if it is of the type of a field."""
    if kind in (int, int | None, Natural):
        return checks.count(value, name, least=int(kind is not Natural))
    if kind is float:
        checks.positive(value, name)
        return value
    if kind is bool:
        return checks.flag(value, name)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return checks.one_of(value, arguments, name)
    if origin is dict:
        return checks.instance_of(value, dict, name, "keys and values")
    if origin is tuple:
        checks.instance_of(value, list, name, "a list")
        return tuple(_typed(x, arguments[0], name) for x in value)
    return checks.instance_of(value, str, name, "text")


def _checked(comparison):
    names = [method.name for method in comparison.methods]
    checks.one_of(comparison.baseline, names, "protocol: baseline")
    checks.one_of(comparison.shown, names, "protocol: shown")
    for task in comparison.tasks:
        for name in task.methods:
            checks.one_of(name, names, f"{task.name}: methods")
        used = [method.name for method in comparison.methods_of(task)]
        if comparison.baseline not in used:
            raise checks.invalid(
                f"the protocol's baseline, {comparison.baseline!r}, among the "
                "methods of each task: others are compared with it",
                used,
                "Add it to `methods` of the task, see that the task offers "
                "what it `needs`, or name another `baseline`",
                argument=task.name,
            )
    counts = {
        x.name: len(x.strengths) for x in comparison.methods if x.strengths
    }
    if len({*counts.values()}) > 1:
        raise checks.invalid(
            "as many strengths for each method that has any: a larger budget "
            "is an advantage",
            counts,
        )
    return comparison
