"""The command `compare`, on two small networks."""

import csv

import pytest


@pytest.mark.slow
def test_it_pairs_layers_and_draws_them(
    run, folder, teacher, student, tmp_path
):
    # Not to be taken for colours, their ends and smileys.
    out = tmp_path / "[/x] [red]:+1:"
    code, shown, _ = run("compare", teacher, student, folder, "--out", out)
    assert code == 0
    assert f"Written to {out}: layers.csv" in shown
    # What `compress` takes.
    assert f"compress {teacher} {folder} --student {student}" in shown
    assert "--at avg_pool=avg_pool" in shown
    with (out / "layers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert all(0.0 <= float(row["CKA"]) <= 1.0 for row in rows)
    # Other widths: there is no neuron of the same number.
    assert all(row["permuted neurons"] == "" for row in rows)
    for name in ("transport.png", "cka.png"):
        assert (out / name).stat().st_size > 1000
    assert not (out / "permuted.png").exists()


@pytest.mark.slow
def test_without_a_folder_nothing_is_written(run, folder, teacher, tmp_path):
    before = set(tmp_path.rglob("*"))
    code, shown, _ = run("compare", teacher, teacher, folder)
    assert code == 0
    assert "Written" not in shown
    assert set(tmp_path.rglob("*")) == before


def test_what_would_leave_nothing_behind_is_refused(
    run, folder, teacher, capsys
):
    with pytest.raises(SystemExit) as error:
        run("compare", teacher, teacher, folder, "--quiet")
    assert error.value.code == 2
    assert "--out" in capsys.readouterr().err
