"""Checks of what a person wrote in a file of tasks and methods."""

from collections.abc import Collection, Mapping
from typing import Any


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


def no_or_two(value: Any, name: str) -> tuple[int, ...]:
    """Returns the first and the last of some classes, or nothing."""
    if isinstance(value, tuple) and len(value) in (0, 2):
        return value
    raise ValueError(
        f"Invalid value for argument `{name}`. Expected the first and the "
        f"last class. Received: {name}={value!r}"
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
