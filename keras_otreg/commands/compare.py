"""The command `compare`."""

from typing import Any

from keras_otreg.commands import options


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser = options.command(
        commands,
        "compare",
        _run,
        "which layer of one network is like which of another",
        "Compares the layers of two networks on pictures, by the transport "
        "between their neurons, by CKA, and by the share of neurons that have "
        "changed places; suggests where a penalty could act. With --out, also "
        "as heat maps and a table. "
        'Needs pip install "keras-otreg[pictures]".',
    )
    for name, metavar, text in (
        ("first", "A.keras", "the teacher"),
        ("second", "B.keras", "the student"),
    ):
        text = f"a .keras file, of a penalty {text}"
        options.add_path(parser, name, metavar, text)
    options.add_path(parser, "data", "DATA", options.PICTURES)
    options.add_out(parser, None, "the heat maps and the table")
    for name, value, text in (
        ("pictures", 128, "pictures to see the layers on"),
        ("layers", 8, "layers of each network"),
    ):
        parser.add_argument(
            f"--{name}",
            metavar="N",
            type=options.whole_number(2, 10**5),
            default=value,
            help=f"{text}, at most (default: {value})",
        )
    options.add_settings(parser, "compare", "image_size")
    options.add_common(parser, "the draw of pictures")


def _run(given):
    options.refuse_silence(given)
    from keras_otreg.workflows import compare

    compare(**options.arguments(given))
