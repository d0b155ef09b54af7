"""What the demo measured, as numbers, a table and a file."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
import rich.box
import rich.table

from keras_otreg import files
from keras_otreg.demo.training import Outcome, Trainee


@dataclasses.dataclass(frozen=True)
class Result:
    """What one method reached.

    Attributes:
        student: Which network learnt.
        method: What was done.
        strength: Strength of the regulariser; `None` for none.
        parameters: Number of the student's parameters.
        curves: Test accuracies of shape `(seeds, points)`.
        seconds: Mean time of a training.
    """

    student: str
    method: str
    strength: float | None
    parameters: int
    curves: np.ndarray
    seconds: float

    @property
    def accuracies(self) -> np.ndarray:
        """Test accuracies at the end, of shape `(seeds,)`."""
        return self.curves[:, -1]

    @property
    def mean(self) -> float:
        """Mean test accuracy over the seeds."""
        return float(self.accuracies.mean())

    @property
    def deviation(self) -> float:
        """Standard deviation of the test accuracy over the seeds."""
        return float(self.accuracies.std())


def measured(
    student: str,
    method: str,
    strength: float | None,
    learner: Trainee,
    outcomes: Sequence[Outcome],
) -> Result:
    """Sums up the trainings of one method, one for each seed."""
    return Result(
        student,
        method,
        strength,
        learner.student.count_params(),
        np.stack([outcome.curve for outcome in outcomes]),
        float(np.mean([outcome.seconds for outcome in outcomes])),
    )


def as_table(results: Sequence[Result]) -> rich.table.Table:
    """The table that the demo prints, with a section for each student."""
    chosen = any(result.strength is not None for result in results)
    numbers = ["strength"] * chosen + ["test accuracy", "seconds"]
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    table.add_column("student")
    table.add_column("method")
    for name in numbers:
        table.add_column(name, justify="right")
    previous = None
    for result in results:
        if previous not in (None, result.student):
            table.add_section()
        table.add_row(
            "" if previous == result.student else result.student,
            result.method,
            *[_strength(result)] * chosen,
            f"{result.mean:.3f} ± {result.deviation:.3f}",
            f"{result.seconds:.1f}",
        )
        previous = result.student
    return table


def _strength(result):
    return "" if result.strength is None else f"{result.strength:g}"


def write_csv(
    results: Sequence[Result], seeds: Sequence[int], path: pathlib.Path
) -> None:
    """Writes the table with the accuracy of every seed."""
    header = ["student", "method", "strength", "parameters"]
    header += ["mean", "standard_deviation", "seconds"]
    header += [f"seed_{seed}" for seed in seeds]
    files.write_csv(path, header, map(_row, results))


def _row(result):
    numbers = [result.mean, result.deviation, result.seconds]
    numbers += list(result.accuracies)
    return [
        result.student,
        result.method,
        result.strength,
        result.parameters,
        *(f"{number:.4f}" for number in numbers),
    ]
