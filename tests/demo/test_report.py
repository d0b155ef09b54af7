import dataclasses

import numpy as np
import pytest

from keras_otreg.demo import report
from keras_otreg.demo.report import Result

NOISE = 0.01 * np.sin(np.arange(8))


def result(student, method, mean, noise=NOISE):
    return Result(student, method, None, 10, (mean + noise)[:, None], 1.0)


def results(transport, narrow_transport=0.7, seeds=8):
    rows = [
        result("same network", "plain fine-tuning", 0.8),
        result("same network", "transport", transport, NOISE[::-1]),
        result("a quarter as wide", "from scratch", 0.6),
        result("a quarter as wide", "transport", narrow_transport),
    ]
    return [dataclasses.replace(row, curves=row.curves[:seeds]) for row in rows]


@pytest.mark.parametrize(
    ("transport", "winner", "is_clear"),
    [
        (0.9, "transport", True),
        (0.7, "plain fine-tuning", True),
        (0.801, "transport", False),
        (0.799, "plain fine-tuning", False),
    ],
)
def test_the_highest_mean_is_named_and_luck_is_not_called_a_win(
    transport, winner, is_clear
):
    sentence = next(report.conclusions(results(transport)))
    assert sentence.startswith(f"Same network: {winner} has the highest mean")
    assert ("not clearly better" in sentence) != is_clear


def test_a_method_that_loses_is_not_named():
    _, narrow = report.conclusions(results(0.7, narrow_transport=0.5))
    assert "from scratch has the highest mean, 0.6" in narrow
    assert "transport" not in narrow


def test_few_seeds_prove_nothing():
    sentence = next(report.conclusions(results(0.9, seeds=2)))
    assert "so few seeds" in sentence
    assert "clearly" not in sentence
