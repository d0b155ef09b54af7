"""The option --at, by which a user names layers."""

import argparse
from typing import Any


def add_places(
    parser: argparse.ArgumentParser, text: str, *, paired: bool = False
) -> None:
    """Add layers, of which each can be named once.

    Args:
        parser: Of the command.
        text: What the layers are.
        paired: Whether a layer of the teacher may stand behind each.
    """
    parser.add_argument(
        "--at",
        metavar="LAYER[=LAYER]" if paired else "LAYER",
        type=_pair if paired else str,
        action=_Places,
        default=(),
        help=text,
    )


class _Places(argparse.Action):
    """Action that gathers layers; those of a student must differ."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        named = (*getattr(namespace, self.dest), values)
        if self.type is _pair:
            layers = [pair.partition("=")[0] for pair in named]
        else:
            layers = [*named]
        if layers[-1] in layers[:-1]:
            raise argparse.ArgumentError(self, f"{layers[-1]!r} is named twice")
        setattr(namespace, self.dest, named)


def _pair(text):
    name, mark, other = text.partition("=")
    if name and (other or not mark):
        return text
    raise argparse.ArgumentTypeError(
        f"expected LAYER or LAYER=LAYER, not {text!r}"
    )
