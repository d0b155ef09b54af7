import functools
import io

import numpy as np
import pytest
import small_tasks
from accuracy import KINDS
from rich.console import Console

from keras_otreg.benchmark import comparison, reading
from keras_otreg.data import Labelled
from keras_otreg.experiments import networks
from keras_otreg.experiments.problem import Settings

TOY = """
protocol: {seeds: 2, draws: 1, shown: uniform plan, trials: 3}
tasks:
  toy: {labels: 1, steps: 2, quick: true}
  narrow: {labels: 1, steps: 2, student: narrow, start: random}
methods:
  plain: {uses: plain}
  head only: {uses: plain, ends: start, needs: [same network]}
  uniform plan: &transport
    uses: penalties
    loss: RepresentationTransport
    arguments: {plan: uniform}
    strengths: [0.1, 10.0]
  identity plan:
    {<<: *transport, arguments: {plan: identity}, needs: [same network]}
"""


def labelled(copies):
    """Images that show their label by a bright row, and noise."""
    rng = np.random.default_rng(copies)
    y = np.tile(np.arange(10), copies)
    x = rng.random((len(y), 28, 28, 1)).astype("float32") / 4.0
    x[np.arange(len(y)), 2 * y + 4] += 0.5
    return Labelled(x, y)


@pytest.fixture(autouse=True)
def toy_data(monkeypatch):
    """Small data and networks in the place of real ones."""
    parts = labelled(29), labelled(3)
    settings = functools.partial(Settings, channels=(2, 4, 4), units=8)
    monkeypatch.setattr(small_tasks, "_data", lambda name: parts)
    monkeypatch.setattr(comparison, "Settings", settings)
    monkeypatch.setattr(
        small_tasks,
        "trained_source",
        lambda data, settings: networks.wide(settings, int(data.y.max()) + 1),
    )


@pytest.fixture
def read(tmp_path):
    """Reads a comparison from a text."""

    def read(text):
        path = tmp_path / "tasks.yaml"
        path.write_text(text, encoding="utf-8")
        return reading.read(path, KINDS)

    return read


@pytest.fixture
def toy(read):
    """Two tasks, four methods."""
    return read(TOY)


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=100)
