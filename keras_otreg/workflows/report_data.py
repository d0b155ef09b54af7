"""Data of a report."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_otreg.data import PictureFiles
from keras_otreg.workflows.findings import Comparison, compared, score
from keras_otreg.workflows.neurons import Neurons
from keras_otreg.workflows.stages import Trained

# Titles of networks.
HEAD_ONLY, PLAIN = "new head only", "plain fine-tuning"


@dataclasses.dataclass(frozen=True)
class ReportData:
    """Data of a report.

    Attributes:
        title: Of the page.
        lead: What was done, in a sentence.
        results: The trained networks by their titles.
        method: Title of the network that was trained by the method.
        plain: Title of the one that it is compared with.
        chosen: Title of the one that is best in validation: `model.keras`.
        parts: The pictures.
        settings: Names and values.
        neurons: The neurons of the teacher and of the chosen network; `None`
            if they are not compared, or were not trained.
        seen: The pictures that neurons are compared on.
        class_plan: A figure of the plan between classes, if there is one.
        others: Titles and accuracies of networks that were not trained here.
        strengths: Options of the command that say how strongly it acts.
        search: An option that searches the strength, with its value.
    """

    title: str
    lead: str
    results: Mapping[str, Trained]
    method: str
    plain: str
    chosen: str
    parts: Mapping[str, PictureFiles]
    settings: Mapping[str, Any]
    neurons: Neurons | None = None
    seen: PictureFiles | None = None
    class_plan: Any = None
    others: Mapping[str, Mapping[str, Any]] = dataclasses.field(
        default_factory=dict
    )
    strengths: Sequence[str] = ("--weight",)
    search: str | None = None

    @property
    def is_head_only(self) -> bool:
        """Whether only the head of the chosen network was trained."""
        return self.chosen == HEAD_ONLY

    @property
    def predictions(self) -> np.ndarray:
        """Probabilities of the test pictures, of the chosen network."""
        return self.results[self.chosen].predictions["test"]

    def score(self, title: str, part: str) -> tuple[float, float]:
        """Accuracy and minus cross-entropy of a network on a part."""
        predictions = self.results[title].predictions[part]
        return score(predictions, self.parts[part].labels)

    def compared(self) -> Comparison:
        """The method beside what it is compared with, on test pictures."""
        return compared(
            self.results[self.method].predictions["test"],
            self.results[self.plain].predictions["test"],
            self.parts["test"].labels,
        )

    def rows(self) -> list[dict[str, Any]]:
        """A row for each network."""
        rows = [
            {
                "title": title,
                "validation": self.score(title, "validation")[0],
                "test": self.score(title, "test")[0],
                "best": trained.best,
                "epochs": len(trained.history),
                "seconds": trained.seconds,
                "chosen": title == self.chosen,
            }
            for title, trained in self.results.items()
        ]
        return [{"title": k, **v} for k, v in self.others.items()] + rows
