import dataclasses
import io

import numpy as np
from rich.console import Console

from keras_otreg.data import Labelled
from keras_otreg.demo import runner
from keras_otreg.demo.rows import Task
from keras_otreg.experiments.problem import Settings

NOISE = 0.01 * np.sin(np.arange(8))


def result(student, method, mean, noise=NOISE):
    return runner.Result(
        student, method, None, 10, (mean + noise)[:, None], 1.0
    )


def results(transport, narrow_transport=0.7, seeds=8):
    rows = [
        result("same network", "plain fine-tuning", 0.8),
        result("same network", "transport", transport, NOISE[::-1]),
        result("a quarter as wide", "from scratch", 0.6),
        result("a quarter as wide", "transport", narrow_transport),
    ]
    return [dataclasses.replace(row, curves=row.curves[:seeds]) for row in rows]


def shown(found):
    console = Console(file=io.StringIO(), width=120)
    task = Task(*[Labelled(np.zeros(10), np.arange(10))] * 4)
    runner.show(found, task, Settings(strengths=()), console)
    return console.file.getvalue()


def test_the_gain_over_learning_without_a_penalty_is_in_the_table():
    lines = shown(results(0.9, narrow_transport=0.5)).splitlines()
    rows = [line.split() for line in lines if " transport " in line]
    assert [row[-4] for row in rows] == ["+0.100", "-0.100"]
    assert "plain fine-tuning or from scratch" in " ".join(
        " ".join(lines).split()
    )
    (plain,) = (line for line in lines if " plain fine-tuning  " in line)
    assert "[" not in plain


def test_few_seeds_have_no_interval():
    text = shown(results(0.9, seeds=2))
    assert "+0.1" in text
    assert "[" not in text
