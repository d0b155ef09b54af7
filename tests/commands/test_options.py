"""What several commands share."""

import argparse

import keras
import pytest
import rich.table

from keras_otreg.commands.options import screen

NAMES = ["[/x]", "a [red]b", ":+1:", "[bold]"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_as_it_is(name, capsys):
    console = screen(argparse.Namespace(quiet=False))
    console.print(f"Written to {name}")
    table = rich.table.Table("layer", title=f"title {name}")
    table.add_row(f"row {name}")
    console.print(table)
    shown = capsys.readouterr().out
    for words in ("Written to", "title", "row"):
        assert f"{words} {name}" in shown


def test_silence_is_kept(capsys, tmp_path):
    screen(argparse.Namespace(quiet=True)).print("nothing")
    (tmp_path / "weights").write_bytes(bytes(10**5))
    address = (tmp_path / "weights").as_uri()
    keras.utils.get_file("copy", address, cache_dir=tmp_path)
    assert not capsys.readouterr().out
