"""Linear regression from moments that are added up batch by batch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

# Above this many unknowns for each neuron, rows are kept instead of moments.
MAX_MOMENTS = 3000
MAX_ROWS = 3000
# Strengths of the ridge that a validation chooses from.
SHARES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


class Regression:
    """Regressions of targets `z` on inputs `x`, in float64, for several sets.

    A layer that mixes its channels is one set; where each channel has a
    kernel of its own, each is a set. Every other sample is kept apart for the
    choice of the ridge and for the share of variance that the fit explains;
    the solution is fitted on all.
    """

    def __init__(self, inputs: int):
        self._kind = _Dual if inputs > MAX_MOMENTS else _Primal
        self._halves: list[list[Any]] = [[], []]

    def add(self, x: np.ndarray, z: np.ndarray, first: int) -> None:
        """Add samples after the `first` ones.

        `x` is of shape `(samples, rows of each, sets, inputs)`, and so is `z`
        with targets as its last axis.
        """
        for half, parts in enumerate(self._halves):
            own = slice((half - first) % 2, None, 2)
            rows = (v[own].reshape(-1, *v.shape[2:]) for v in (x, z))
            rows = (v.swapaxes(0, 1).astype(np.float64) for v in rows)
            self._kind.add(parts, *rows)

    def solve(
        self, prior: np.ndarray, shares: Sequence[float], intercept: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fit a kernel, and a constant if there is an `intercept`.

        The ridge pulls towards the `prior`, of shape `(sets, inputs,
        targets)`; `shares` of the mean variance of the inputs are its
        strengths to choose from. Also returns the share of each target's
        variance that a fit on one half of the samples explains on the other.
        """
        both = self._kind(sum(self._halves, []), intercept)
        first, second = (self._kind(x, intercept) for x in self._halves)
        if not second.rows:
            second = first
        scores = [second.unexplained(first.fit(prior, x)) for x in shares]
        totals = [np.nansum(x * np.maximum(second.zz, 0.0)) for x in scores]
        best = int(np.argmin(totals))
        kernel = both.fit(prior, shares[best])
        constant = both.z - (both.x[:, None] @ kernel)[:, 0]
        return kernel, constant, 1.0 - scores[best]


class _Moments:
    """Moments about the mean, or about zero where there is no intercept."""

    def __init__(self, rows, sums, intercept):
        self.rows = rows
        self.x, self.z, zz, *self.products = (v / max(rows, 1) for v in sums)
        if not intercept:
            self.x, self.z = 0.0 * self.x, 0.0 * self.z
        self.zz = zz - self.z**2

    def unexplained(self, kernel):
        """Share of each target's variance that is left; NaN for constants."""
        alive = self.zz > 1e-10 * max(self.zz.max(initial=0.0), 1e-30)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = self.left(kernel) / self.zz
        return np.where(alive, np.maximum(found, 0.0), np.nan)


class _Primal(_Moments):
    """Moments of which only sums over the rows are kept."""

    def __init__(self, parts, intercept):
        rows, *sums = map(sum, zip(*parts, strict=True))
        super().__init__(rows, sums, intercept)
        xx, xz = self.products
        column = self.x[:, :, None]
        self.xx = xx - column * self.x[:, None]
        self.xz = xz - column * self.z[:, None]

    @staticmethod
    def add(parts, x, z):
        turned = x.swapaxes(1, 2)
        sums = x.sum(axis=1), z.sum(axis=1), (z**2).sum(axis=1)
        new = x.shape[1], *sums, turned @ x, turned @ z
        parts[:] = [tuple(map(sum, zip(*parts, new, strict=True)))]

    def fit(self, prior, ridge):
        size = self.xx.shape[-1]
        mean = np.trace(self.xx, axis1=1, axis2=2)[:, None, None] / size
        matrix = self.xx + ridge * np.maximum(mean, 1e-30) * np.eye(size)
        return prior + np.linalg.solve(matrix, self.xz - self.xx @ prior)

    def left(self, kernel):
        bent = self.xx @ kernel - 2.0 * self.xz
        return self.zz + np.einsum("sdm,sdm->sm", kernel, bent)


class _Dual(_Moments):
    """Moments of which the rows are kept."""

    def __init__(self, parts, intercept):
        x, z = (np.concatenate(v, axis=1) for v in zip(*parts, strict=True))
        sums = x.sum(axis=1), z.sum(axis=1), (z**2).sum(axis=1)
        super().__init__(x.shape[1], sums, intercept)
        self.rows_x, self.rows_z = x - self.x[:, None], z - self.z[:, None]

    @staticmethod
    def add(parts, x, z):
        if sum(x.shape[1] for x, _ in parts) < MAX_ROWS:
            parts.append((x, z))

    def fit(self, prior, ridge):
        x, turned = self.rows_x, self.rows_x.swapaxes(1, 2)
        mean = max((x**2).sum() / self.rows / x.shape[-1], 1e-30)
        matrix = x @ turned + ridge * mean * self.rows * np.eye(x.shape[1])
        error = np.linalg.solve(matrix, self.rows_z - x @ prior)
        return prior + turned @ error

    def left(self, kernel):
        return ((self.rows_z - self.rows_x @ kernel) ** 2).mean(axis=1)
