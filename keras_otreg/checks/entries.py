"""Checks of files of tasks and methods, and of the table made of them."""

import pathlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_otreg.checks.values import number

LARGEST_SEED = 2**31 - 1


def entry(
    value: Any, allowed: Collection[str], required: Collection[str], where: str
) -> dict[str, Any]:
    """Returns the keys and values of an entry, all of them known."""
    if not isinstance(value, Mapping):
        raise ValueError(
            f"Invalid entry `{where}`. Expected keys and values. "
            f"Received: {value!r}"
        )
    unknown = sorted(map(str, set(value) - set(allowed)))
    missing = sorted(set(required) - set(value))
    if unknown or missing:
        raise ValueError(
            f"Invalid entry `{where}`. Expected keys among {sorted(allowed)}, "
            f"of which {sorted(required)} cannot be left out. "
            f"Received: unknown {unknown}, missing {missing}"
        )
    return dict(value)


def named(value: Any, where: str) -> dict[str, Any]:
    """Returns some entries by their names, which are text of one line."""
    entries = entry(value, value, (), where)
    is_text = [isinstance(x, str) and x.strip() != "" for x in entries]
    if entries and all(is_text) and all(x.isprintable() for x in entries):
        return entries
    raise ValueError(
        f"Invalid entry `{where}`. Expected at least one name, and names that "
        "are text of one line: put a number or a date in quotes. "
        f"Received: names {[*entries]}"
    )


def first_and_last(value: Any, known: int, name: str) -> None:
    """Raises unless given the first and the last of some classes, or none."""
    if value == ():
        return
    kinds = [type(x) for x in value] if isinstance(value, tuple) else []
    if kinds == [int, int] and 0 <= value[0] < value[1] < known:
        return
    raise ValueError(
        f"Invalid value for argument `{name}`. Expected the first and the "
        f"last class, [first, last], from 0 to {known - 1} and the first below "
        f"the last; leave it out for all. Received: {name}={value!r}"
    )


def seed(value: Any, name: str) -> None:
    """Raises unless a value can be the first of some seeds."""
    number(
        value,
        name,
        expected=f"a whole number from 0 to {LARGEST_SEED}",
        valid=lambda x: 0 <= x <= LARGEST_SEED and x.is_integer(),
    )


def some_strengths(strengths: Collection[float], name: str, uses: str) -> None:
    """Raises if a method that needs strengths has none to choose from."""
    if not strengths:
        raise ValueError(
            f"Invalid entry `{name}`. Expected `strengths`, a list of at least "
            f"one number above 0, for a method that uses {uses!r}. "
            "Received: none"
        )


def with_baseline(names: Collection[str], baseline: str, task: str) -> None:
    """Raises unless the baseline is among the methods of a task."""
    if baseline not in names:
        raise ValueError(
            f"Invalid entry `{task}`. Expected the protocol's baseline, "
            f"{baseline!r}, among the methods of each task: others are "
            "compared with it. "
            f"Received: {[*names]}. Add it to `methods` of the task, see that "
            "the task offers what it `needs`, or name another `baseline`"
        )


def some_quick(are_quick: Iterable[bool]) -> None:
    """Raises if none of the tasks is quick."""
    if not any(are_quick):
        raise ValueError(
            "Expected a task with `quick: true` for --quick. Received: none. "
            "Add it to the task that is done soonest"
        )


def some_places(places: Sequence[Any], name: str, at: str) -> Sequence[Any]:
    """Returns where a method acts, if that is anywhere."""
    if places:
        return places
    raise ValueError(
        f"Expected layers for the method {name!r} to act at. Received: at: "
        f"{at!r}, of which a task of this kind, or what it does not freeze, "
        "has none. Name other methods under `methods` of the task"
    )


def distinct(values: Sequence[Any], name: str) -> None:
    """Raises if a value comes twice."""
    if len(set(values)) < len(values):
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected different values. "
            f"Received: {[*values]}"
        )


def enough_labels(labels: int, y: Any, name: str) -> None:
    """Raises unless each class has as many samples as are to be labelled."""
    smallest = int(np.unique(y, return_counts=True)[1].min())
    number(
        labels,
        f"{name}: labels",
        expected="a whole number from 1 to the size of the smallest class of "
        f"the data to train on, {smallest}",
        valid=lambda x: x <= smallest,
    )


def equal_trials(counts: Mapping[str, int]) -> None:
    """Raises unless all methods have as many strengths to choose from."""
    if len(set(counts.values())) > 1:
        raise ValueError(
            "Expected as many strengths for each method that has any: a "
            "larger budget is an advantage. Received: "
            + ", ".join(f"{name}: {count}" for name, count in counts.items())
        )


def not_yaml(error: Exception) -> ValueError:
    """The error for a file that is not YAML."""
    reason = " ".join(str(error).split())
    return ValueError(f"Expected a YAML file. Received: {reason}")


def arguments(name: str, error: Exception) -> ValueError:
    """The error for an entry whose arguments do not fit what it names."""
    reason = " ".join(str(error).split())
    return ValueError(f"Invalid arguments in entry `{name}`. {reason}")


def no_cells(
    path: pathlib.Path, titles: Collection[str], received: Any
) -> ValueError:
    """The error for a table of trainings that cannot be read."""
    return ValueError(
        f"Expected '{path}' to be a table of trainings with the titles "
        f"{','.join(titles)}. Received: {received!r:.200}. It is left as it "
        "is: move it away or mend it, or give another --out"
    )
