"""The soak: what it counts and says is checked, never how much it is."""

import io

import numpy as np
import pytest
import rich.console

from keras_otreg import __main__ as command_line
from keras_otreg.benchmark import soak
from keras_otreg.benchmark.on_disk import write_about
from keras_otreg.benchmark.soak import life, rounds
from keras_otreg.benchmark.soak.rounds import Round, claims, slope
from keras_otreg.benchmark.soak.runner import about_of, read, table_of
from keras_otreg.data import Labelled
from keras_otreg.files import write_csv


@pytest.fixture(autouse=True)
def toy_data(monkeypatch):
    monkeypatch.setattr(life, "EPOCHS", 2)
    rng = np.random.default_rng(0)
    y = np.arange(20) % 10
    x = rng.random((20, 28, 28, 1)).astype("float32")
    data = Labelled(x, y)
    monkeypatch.setattr(life, "optdigits", lambda: (data, data))


def lived(growth, threads=7, handles=5):
    """Eleven rounds, a minute each, of which the first five do not count."""
    early = [Round(k + 1, float(k), 500.0 + 90.0 * k, 1, 1) for k in range(5)]
    late = [
        Round(k + 1, float(k), 900.0 + growth * k, 7, 5) for k in range(5, 10)
    ]
    return [*early, *late, Round(11, 10.0, 900 + 10 * growth, threads, handles)]


def test_growth_is_that_of_the_second_half():
    assert slope(lived(0.25)) == pytest.approx(0.25)
    assert slope(lived(-3.0)) == pytest.approx(-3.0)


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (lived(0.9), [True, True, True]),
        (lived(1.1), [False, True, True]),
        (lived(0.0, threads=8), [True, False, True]),
        (lived(0.0, handles=6), [True, True, False]),
        (lived(0.0, threads=6, handles=4), [True, True, True]),
    ],
)
def test_what_is_left_breaks_a_promise(found, kept):
    assert [claim.kept for claim in claims(found)] == kept


def test_a_process_is_looked_at():
    psutil = pytest.importorskip("psutil")
    before = rounds.taken(psutil.Process(), 1, 0.5)
    with open("/dev/null"):
        after = rounds.taken(psutil.Process(), 2, 1.0)
    assert after.handles == before.handles + 1
    assert before.megabytes > 50
    assert before.threads >= 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", soak.KINDS, ids=lambda x: x.name)
def test_two_rounds_are_lived_and_kept(kind, tmp_path):
    console = rich.console.Console(file=io.StringIO(), width=120)
    soak.run(kind, 0, tmp_path, console)
    found, about = read(kind, tmp_path)
    assert [x.number for x in found] == [1, 2]
    assert found[0].minutes < found[1].minutes
    assert "tensorflow" in about
    assert "round 2, minute" in console.file.getvalue()
    assert "Memory grows" in console.file.getvalue()
    assert not list(tmp_path.rglob("*unfinished*"))


def test_the_page_says_what_was_found(tmp_path):
    for kind, growth in zip(soak.KINDS, (0.5, 2.0), strict=False):
        write_csv(table_of(kind, tmp_path), Round._fields, lived(growth))
        write_about(about_of(kind, tmp_path))
    page = tmp_path / "results.md"
    page.write_text("# Results\n\nBefore.\n")
    for _ in range(2):
        arguments = ["benchmark", "soak", "--out", str(tmp_path)]
        assert command_line.main([*arguments, "--page", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("# Results\n\nBefore.")
    assert text.count("## Long trainings") == 1
    assert "+0.50 MB a minute over 6 rounds" in text
    assert "| **not kept** | Memory grows" in text
    assert "| 11 | 10.0 | 905 | 7 | 5 |" in text


def test_without_results_there_is_no_page(tmp_path, capsys):
    page, out = tmp_path / "results.md", tmp_path / "none"
    arguments = ["benchmark", "soak", "--out", str(out)]
    assert command_line.main([*arguments, "--page", str(page)]) == 1
    message = capsys.readouterr().err
    assert "expected transfer_model.csv, " in message
    assert f"`keras-otreg {' '.join(arguments)}` writes" in message
    assert not page.exists()
    assert not out.exists()
