"""Weights of a narrow network from those of a wide one."""

import io
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import rich.console
import rich.table

from keras_otreg.compression.heir import Heir

# Below this share of variance a fit is doubtful.
ENOUGH = 0.5


class Inheritance(dict):
    """Fits of the layers of a student by path; `str` of it is a table."""

    def __str__(self):
        table = rich.table.Table("layer", "neurons", "variance explained")
        for fit in self.values():
            share = f"{fit.explained:.3f}"
            if fit.explained < ENOUGH:
                share += "  low: more samples, a larger width, or keep it"
            table.add_row(fit.path, f"{len(fit.neurons)} of {fit.of}", share)
        console = rich.console.Console(
            width=100, record=True, file=io.StringIO()
        )
        console.print(table)
        return console.export_text()


def inherit(
    student: keras.Model,
    teacher: keras.Model,
    samples: Any,
    *,
    layers: Mapping[str, str] | None = None,
    choose: str = "transport",
    ridge: float | str = "validation",
    seed: int = 0,
    verbose: bool = True,
) -> Inheritance:
    """Give a student the weights with which it is most like its teacher.

    In each group of tied channels, the neurons stay onto which the others can
    be moved at the least cost. Then each layer, in the order of the forward
    pass, is fitted by ridge regression: from its inputs in the student to the
    activations of the neurons that stay in the teacher. Before a sum, a layer
    is fitted such that the sum is right.

    Args:
        student: A built Functional or Sequential network, such as `narrow`
            returns.
        teacher: A built network. It is not changed.
        samples: Inputs of both networks, of which no labels are read: arrays,
            or a `keras.utils.PyDataset` or `tf.data.Dataset` of batches.
        layers: A mapping from paths of the student's layers to those of the
            teacher's, for a student of another architecture; layers of one
            name if not given. A head of other classes inherits nothing.
        choose: Which neurons stay: `"transport"`, those of a semi-relaxed
            transport problem between neurons, whose cost is one minus the
            squared correlation; `"pivots"` of a QR factorisation; or the
            controls `"largest"`, `"uniform"` and `"random"`.
        ridge: Strength of the pull towards the teacher's own weights, as a
            share of the mean variance of a layer's inputs; `"validation"`
            chooses it for each layer on half of the samples.
        seed: Of the choices that are random.
        verbose: Whether to show a bar and print a table.

    Returns:
        A `Fit` for each layer, by its path.

    Example:
        ```python
        student = otreg.narrow(teacher, 0.25)
        print(otreg.inherit(student, teacher, x, verbose=False))
        ```

    References:
        Xu et al., "Initializing models with larger ones" (ICLR 2024), arXiv
        2311.18823, for choice without a fit; Nasery et al., "PLeaS" (CVPR
        2025), arXiv 2407.02447, for least squares after a matching.
    """
    return inherited(
        Heir(student, teacher, samples, layers, choose, ridge, seed), verbose
    )


def inherited(heir: Heir, verbose: bool) -> Inheritance:
    """Let a student inherit, and show a bar and the table."""
    bar = keras.utils.Progbar(
        heir.number_of_fits, verbose=int(verbose), unit_name="layer"
    )
    found = Inheritance()
    for fit in heir.inherit():
        found[fit.path] = fit
        bar.add(1)
    if verbose:
        rich.console.Console().print(str(found))
    few = [fit for fit in found.values() if fit.rows < fit.inputs]
    if few:
        warnings.warn(
            "Expected at least as many rows (samples times positions) as "
            f"inputs of a layer. Received: {few[0].rows} rows for "
            f"{few[0].inputs} inputs of '{few[0].path}'"
            f"{f' (and {len(few) - 1} more)' if few[1:] else ''}. Such layers "
            "stay close to the teacher's own weights. Pass more samples.",
            stacklevel=3,
        )
    return found
