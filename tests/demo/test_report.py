import dataclasses

import numpy as np
import pytest

from keras_otreg.demo import report
from keras_otreg.demo.report import AFTER, BEFORE, SAME, Result

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
    ("transport", "winner", "apart"),
    [
        (0.9, "transport", True),
        (0.7, "plain fine-tuning", True),
        (0.801, "transport", False),
        (0.799, "plain fine-tuning", False),
    ],
)
def test_the_highest_mean_is_named_and_luck_is_not_called_a_win(
    transport, winner, apart
):
    sentence = next(report.conclusions(results(transport)))
    assert sentence.startswith(f"Same network: {winner} has the highest mean")
    assert ("not clearly apart" in sentence) != apart


def test_a_method_that_loses_is_said_to_lose():
    lines = list(report.conclusions(results(0.7, narrow_transport=0.5)))
    assert "transport minus plain fine-tuning is -0.100" in lines[1]
    assert "above zero for 0 of 8 seeds" in lines[1]
    assert "from scratch has the highest mean" in lines[2]


def test_few_seeds_prove_nothing():
    sentence = next(report.conclusions(results(0.9, seeds=2)))
    assert "so few seeds" in sentence
    assert "clearly" not in sentence


def test_captions_count_what_the_plans_show():
    swapped = np.eye(4)[[1, 0, 2, 3]]
    uniform, sharp = np.full((4, 2), 0.125), np.eye(2)[[0, 0, 1, 1]] / 4.0
    plans = {SAME: swapped, BEFORE: uniform, AFTER: sharp}
    text = " ".join(report.captions(plans))
    assert "4 of 4 teacher neurons" in text
    assert "2 of them to their own copy" in text
    assert "0 of 4 teacher neurons did so before training, 4 of 4" in text
