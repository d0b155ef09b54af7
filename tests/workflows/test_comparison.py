import io
import pathlib

import numpy as np
import rich.console

from keras_otreg.workflows import comparison
from keras_otreg.workflows.comparison import (
    CKA,
    PERMUTED,
    TRANSPORT,
    Similarity,
)


def test_the_command_for_the_layers_that_match_is_printed():
    values = np.array([[0.9, 0.1], [0.2, 0.8]])
    names = (TRANSPORT, CKA, PERMUTED)
    found = Similarity(["a", "b"], ["c 1", "d"], dict.fromkeys(names, values))
    shown = io.StringIO()
    console = rich.console.Console(file=shown, width=200)
    paths = pathlib.Path("large.keras"), pathlib.Path("small.keras")
    comparison._print(paths, pathlib.Path("my pictures"), found, console)
    command = " ".join(shown.getvalue().split("compress ")[1].split())
    assert command == (
        "large.keras 'my pictures' --student small.keras "
        "\\ --at 'c 1=a' \\ --at d=b"
    )


def test_a_map_without_values_is_not_drawn(tmp_path):
    """As of permuted neurons between layers of other widths."""
    values = np.array([[0.9, 0.1], [0.2, 0.8]])
    empty = np.full((2, 2), np.nan)
    found = Similarity(
        *(["a", "b"], ["c", "d"]),
        {TRANSPORT: values, CKA: values, PERMUTED: empty},
    )
    paths = pathlib.Path("large.keras"), pathlib.Path("small.keras")
    names = comparison._write(paths, tmp_path, found)
    assert names == ["layers.csv", "transport.png", "cka.png"]
    assert sorted(x.name for x in tmp_path.iterdir()) == sorted(names)
