"""The command `inspect`."""


def test_it_prints_paths_and_shapes(run, teacher):
    code, shown, _ = run("inspect", teacher)
    assert code == 0
    for words in ("maps", "(None, 6, 6, 4)", "--at avg_pool"):
        assert words in shown


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
    assert "cannot read the model" in error
