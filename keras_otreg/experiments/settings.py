"""Size of an experiment."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of an experiment, beside its data and methods.

    Attributes:
        seeds: Number of draws of labels and of new weights to report.
        seed: The first of them; also the seed of the source network.
        per_class: Labelled samples of each class of the target.
        source_epochs: Passes over the source data.
        steps: Steps of each training on the target.
        points: Points of each learning curve.
        strengths: Candidates for the strength of each penalty, if not defaults.
        draws: Draws of labels to choose a strength with.
        learning_rate: Of the trainings on the target.
        channels: Channels of the three convolutions of the source network.
        units: Units of the layer that the penalties act at.
    """

    seeds: int = 8
    seed: int = 0
    per_class: int = 2
    source_epochs: int = 12
    steps: int = 200
    points: int = 8
    strengths: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0)
    draws: int = 3
    learning_rate: float = 1e-3
    channels: tuple[int, int, int] = (16, 32, 64)
    units: int = 128

    @property
    def steps_per_point(self) -> int:
        """Steps between two points of a learning curve."""
        return self.steps // self.points

    @property
    def reported_seeds(self) -> range:
        """Seeds of the trainings whose test accuracy is reported."""
        return range(self.seed, self.seed + self.seeds)

    @property
    def choosing_seeds(self) -> range:
        """Seeds of the trials that choose strengths, which are not reported."""
        first = self.seed + self.seeds
        return range(first, first + self.draws)
