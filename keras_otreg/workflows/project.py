"""What all commands that train have in common: stages, and files at the end."""

import contextlib
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_otreg.data import PictureFiles
from keras_otreg.features import fingerprint
from keras_otreg.files import whole
from keras_otreg.workflows.findings import accuracy
from keras_otreg.workflows.learning import HEAD_EPOCHS, Lessons, Settings
from keras_otreg.workflows.neurons import neurons
from keras_otreg.workflows.report import check_report, write_report
from keras_otreg.workflows.run import Run, Trained, write_table
from keras_otreg.workflows.screen import Screen, screen
from keras_otreg.workflows.story import Story

HEAD_ONLY, PLAIN = "new head only", "plain fine-tuning"
MODEL, HISTORY, REPORT = "model.keras", "history.csv", "report.html"
# Pictures that neurons are seen on.
SEEN = 256


class Project:
    """The stages of a command, and what it writes at the end.

    Args:
        run: What is finished already.
        lessons: What is learnt, and how.
        screen: Where it is told.
    """

    def __init__(self, run: Run, lessons: Lessons, screen: Screen):
        self.run = run
        self.lessons = lessons
        self.screen = screen

    def stage(
        self, name: str, title: str, epochs: int, work: Callable[[], Trained]
    ) -> Trained:
        """What a stage has trained, now or before.

        Args:
            name: Of its files.
            title: Shown to people.
            epochs: How many it takes at most.
            work: Trains.
        """
        was_there = self.run.is_finished(name)
        if was_there:
            self.screen.skip(epochs)
        trained = self.run.stage(name, work)
        labels = self.lessons.parts["validation"].labels
        reached = accuracy(trained.predictions["validation"], labels)
        how = (
            "finished before"
            if was_there
            else f"epoch {trained.best} of {len(trained.history)}, "
            f"{trained.seconds:.0f} s"
        )
        self.screen.say(f"{title}: validation accuracy {reached:.3f} ({how})")
        return trained

    def learn_head(self, student: keras.Model) -> Trained:
        """The stage that trains a new head."""
        return self.stage(
            "head",
            HEAD_ONLY,
            HEAD_EPOCHS,
            lambda: self.lessons.learn_head(HEAD_ONLY, student),
        )

    def learn(
        self, name: str, title: str, start: keras.Model, *how: Any
    ) -> Trained:
        """A stage that trains all of a network.

        Args:
            name: Of its files.
            title: Shown to people.
            start: As for `Lessons.learn`.
            *how: Likewise.
        """
        return self.stage(
            name,
            title,
            self.lessons.settings.epochs,
            lambda: self.lessons.learn(title, start, *how),
        )

    def write(self, story: Story) -> None:
        """Writes the model, the table of all epochs and the report."""
        folder = self.run.folder
        with whole(folder / MODEL) as unfinished:
            story.results[story.name].model.save(unfinished)
        rows = [
            {"stage": title, **row}
            for title, result in story.results.items()
            for row in result.history
        ]
        write_table(folder / HISTORY, rows)
        write_report(folder / REPORT, story, self.lessons.shape)

    def neurons(
        self,
        teacher: keras.Model,
        student: keras.Model,
        place: tuple[str, str],
        loss: Any,
        same: bool,
    ) -> dict[str, Any]:
        """The neurons of two layers, on pictures of which none was learnt.

        Args:
            teacher: The network that was learnt from.
            student: The one that has learnt.
            place: Paths of the student's layer and of the teacher's.
            loss: The loss between them.
            same: Whether the student began as a copy of the teacher.

        Returns:
            `neurons` and the pictures `seen`, for a `Story`.
        """
        files = self.lessons.parts["validation"]
        rng = np.random.default_rng(self.lessons.settings.seed)
        rows = np.sort(rng.permutation(len(files.paths))[:SEEN])
        files = files.take(rows)
        pictures = np.concatenate(
            [
                keras.ops.convert_to_numpy(batch)
                for batch, _ in self.lessons.batches(files)
            ]
        )
        found = neurons(teacher, student, pictures, place, loss, same)
        return {"neurons": found, "seen": files}


def facts(
    command: str,
    parts: Mapping[str, PictureFiles],
    networks: Mapping[str, keras.Model],
    settings: Mapping[str, Any],
    **more: Any,
) -> dict[str, Any]:
    """What the results of a command depend on, to be told apart by."""
    return {
        "command": command,
        **{f"{part} pictures": _digest(x) for part, x in parts.items()},
        **{role: fingerprint(model)[:12] for role, model in networks.items()},
        **settings,
        **more,
    }


def _digest(files):
    """A short name for some pictures, wherever their folder lies."""
    digest = hashlib.sha256(json.dumps(files.class_names).encode())
    for path, label in zip(files.paths, files.labels, strict=True):
        content = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
        names = pathlib.Path(path).parts[-2:]
        digest.update(json.dumps([*names, int(label), content]).encode())
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def project(
    out: pathlib.Path,
    known: Mapping[str, Any],
    parts: Mapping[str, PictureFiles],
    shape: tuple[int, int, int],
    settings: Settings,
    console: Any,
    epochs: int,
) -> Iterator[Project]:
    """A `Project` whose progress is shown within the block."""
    check_report()
    run = Run(out, known)
    with screen(console, epochs) as shown:
        yield Project(run, Lessons(parts, shape, settings, shown), shown)
