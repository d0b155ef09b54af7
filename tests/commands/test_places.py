"""The option --at of the commands."""

import argparse

import pytest

from keras_otreg.commands.options import add_places


def parsed(*arguments, paired=False):
    parser = argparse.ArgumentParser()
    add_places(parser, "layers", paired=paired)
    return parser.parse_args(arguments).at


def test_layers_come_in_the_order_they_are_named_in():
    assert parsed() == ()
    assert parsed("--at", "b", "--at", "a/c") == ("b", "a/c")
    assert parsed("--at", "a=b", "--at", "a=c") == ("a=b", "a=c")
    found = parsed("--at", "b=a", "--at", "a", "--at", "c=a", paired=True)
    assert found == ("b=a", "a", "c=a")


@pytest.mark.parametrize("names", [("a", "a"), ("a=b", "a=c"), ("a", "a=b")])
def test_a_layer_named_twice_is_refused(names, capsys):
    first, second = names
    with pytest.raises(SystemExit) as error:
        parsed("--at", first, "--at", second, paired=True)
    assert error.value.code == 2
    assert "'a' is named twice" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["conv1=", "=conv1", "", "="])
def test_a_pair_has_two_names(name, capsys):
    with pytest.raises(SystemExit) as error:
        parsed("--at", name, paired=True)
    assert error.value.code == 2
    assert f"LAYER=LAYER, not {name!r}" in capsys.readouterr().err
