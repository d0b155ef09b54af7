"""What a report tells."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_otreg.data import PictureFiles
from keras_otreg.workflows.findings import Comparison, accuracy, compared
from keras_otreg.workflows.neurons import Neurons
from keras_otreg.workflows.run import Trained


@dataclasses.dataclass(frozen=True)
class Story:
    """What a report tells.

    Attributes:
        title: Of the page.
        lead: What was done, in a sentence.
        results: What was trained, by its title; the last one is the result.
        plain: Title of the one that the result is compared with.
        parts: The pictures.
        neurons: What became of the teacher's neurons.
        seen: The pictures that the neurons are seen on.
        settings: Names and values.
        class_plan: A figure of which classes lean on which, if there is one.
        others: Titles and test accuracies of networks not trained here.
        strengths: Options of the command that say how strongly it acts.
        search: An option that has the strength searched, with its value.
    """

    title: str
    lead: str
    results: Mapping[str, Trained]
    plain: str
    parts: Mapping[str, PictureFiles]
    neurons: Neurons | None
    seen: PictureFiles | None
    settings: Mapping[str, Any]
    class_plan: Any = None
    others: Mapping[str, Mapping[str, Any]] = dataclasses.field(
        default_factory=dict
    )
    strengths: Sequence[str] = ("--weight",)
    search: str | None = None

    @property
    def name(self) -> str:
        """Title of the result."""
        return list(self.results)[-1]

    @property
    def predictions(self) -> np.ndarray:
        """What the result says of the test pictures."""
        return self.results[self.name].predictions["test"]

    def accuracy(self, title: str, part: str) -> float:
        """How many pictures of a part one of the networks reads."""
        found = self.results[title].predictions[part]
        return accuracy(found, self.parts[part].labels)

    def compared(self) -> Comparison:
        """The result beside what it is compared with, on test pictures."""
        return compared(
            self.predictions,
            self.results[self.plain].predictions["test"],
            self.parts["test"].labels,
        )

    def rows(self) -> list[dict[str, Any]]:
        """A row for each network."""
        rows = [
            {
                "title": title,
                "validation": self.accuracy(title, "validation"),
                "test": self.accuracy(title, "test"),
                "best": trained.best,
                "epochs": len(trained.history),
                "seconds": trained.seconds,
                "own": title == self.name,
            }
            for title, trained in self.results.items()
        ]
        return [{"title": k, **v} for k, v in self.others.items()] + rows
