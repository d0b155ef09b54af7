"""The command `inspect`."""

import keras


def test_it_prints_paths_and_shapes(run, teacher):
    code, shown, _ = run("inspect", teacher)
    assert code == 0
    for words in (
        "maps",
        "(None, 6, 6, 4)",
        "--at avg_pool",
        "a new head behind avg_pool",
    ):
        assert words in shown


def test_of_several_heads_none_is_taken_for_the_one(run, tmp_path):
    inputs = keras.Input((8, 8, 3))
    maps = keras.layers.Flatten(name="flat")(inputs)
    heads = [keras.layers.Dense(2, name=x)(maps) for x in ("one", "other")]
    keras.Model(inputs, heads).save(tmp_path / "two.keras")
    code, shown, _ = run("inspect", tmp_path / "two.keras")
    assert code == 0
    assert "other" in shown
    assert "--at" not in shown


def test_in_silence_there_are_only_paths_for_programs(run, teacher):
    code, shown, _ = run("inspect", teacher, "--quiet")
    assert code == 0
    rows = [line.split("\t") for line in shown.splitlines()]
    assert ["avg_pool", "GlobalAveragePooling2D", "(None, 4)"] in rows


def test_what_is_no_network_is_said_in_one_line(run, tmp_path):
    code, _, error = run("inspect", tmp_path / "nothing.keras")
    assert code == 1
    assert "no model" in error
    (tmp_path / "text.keras").write_text("not a model")
    code, _, error = run("inspect", tmp_path / "text.keras")
    assert code == 1
    assert "it is no Keras model" in error
