"""Linear regression from moments that are added up batch by batch."""

import numpy as np

# Above this many unknowns for each neuron, rows are kept instead of moments.
MAX_MOMENTS = 3000
MAX_ROWS = 3000
VALIDATION = "validation"
SHARES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


class Regression:
    """Moments of inputs `x` and targets `z`, in float64, and their solution.

    Every other sample is kept apart for the choice of the ridge and for the
    share of variance that the fit explains; the solution is fitted on all.

    Args:
        inputs: Number of inputs.
        targets: Number of targets.
    """

    def __init__(self, inputs: int, targets: int):
        self._halves = [_Moments(inputs, targets) for _ in range(2)]

    def add(self, x: np.ndarray, z: np.ndarray, first: int) -> None:
        """Add samples.

        Args:
            x: Inputs, of shape `(samples, rows of each, inputs)`.
            z: Targets, of shape `(samples, rows of each, targets)`.
            first: Number of samples added before.
        """
        for half, moments in enumerate(self._halves):
            own = slice((half - first) % 2, None, 2)
            moments.add(
                x[own].reshape(-1, x.shape[-1]),
                z[own].reshape(-1, z.shape[-1]),
            )

    def solve(
        self, prior: np.ndarray, ridge: float | str, intercept: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fit the targets.

        Args:
            prior: What the ridge pulls towards, of shape `(inputs, targets)`.
            ridge: Strength, as a share of the mean variance of the inputs;
                `"validation"`
                to choose it on every other sample.
            intercept: Whether a constant is fitted too.

        Returns:
            The kernel, of shape `(inputs, targets)`; the constant; and the
            share of each target's variance that a fit on one half of the
            samples explains on the other.
        """
        first, second = (x.centred(intercept) for x in self._halves)
        if not second.rows:
            second = first
        candidates = SHARES if ridge == VALIDATION else (ridge,)
        scores = []
        for share in candidates:
            fit = first.fit(prior, share)
            scores.append(second.unexplained(fit))
        totals = [np.nansum(x * second.variance()) for x in scores]
        best = int(np.argmin(totals))
        both = self._halves[0].joined(self._halves[1]).centred(intercept)
        kernel = both.fit(prior, candidates[best])
        return kernel, both.constant(kernel), 1.0 - scores[best]


class _Moments:
    def __init__(self, inputs, targets):
        self.rows = 0
        self.inputs, self.targets = inputs, targets
        self.is_dual = inputs > MAX_MOMENTS
        self.x, self.z = np.zeros(inputs), np.zeros(targets)
        self.zz = np.zeros(targets)
        self.kept = []
        if not self.is_dual:
            self.xx = np.zeros((inputs, inputs))
            self.xz = np.zeros((inputs, targets))

    def add(self, x, z):
        if self.is_dual and self.rows >= MAX_ROWS:
            return
        x, z = x.astype(np.float64), z.astype(np.float64)
        self.rows += len(x)
        self.x += x.sum(axis=0)
        self.z += z.sum(axis=0)
        self.zz += (z**2).sum(axis=0)
        if self.is_dual:
            self.kept.append((x, z))
        else:
            self.xx += x.T @ x
            self.xz += x.T @ z

    def joined(self, other):
        both = _Moments.__new__(_Moments)
        both.__dict__ |= {
            key: value + getattr(other, key)
            for key, value in vars(self).items()
            if key not in ("inputs", "targets", "is_dual")
        }
        both.inputs, both.targets = self.inputs, self.targets
        both.is_dual = self.is_dual
        return both

    def centred(self, intercept):
        return (_Dual if self.is_dual else _Primal)(self, intercept)


class _Centred:
    """Moments about the mean, or about zero where there is no intercept."""

    def __init__(self, moments, intercept):
        self.rows = moments.rows
        n = max(moments.rows, 1)
        self.x = moments.x / n if intercept else np.zeros(moments.inputs)
        self.z = moments.z / n if intercept else np.zeros(moments.targets)
        self.zz = moments.zz / n - self.z**2

    def variance(self):
        return np.maximum(self.zz, 0.0)

    def constant(self, kernel):
        return self.z - self.x @ kernel

    def unexplained(self, kernel):
        """Share of each target's variance that is left; NaN for constants."""
        alive = self.zz > 1e-10 * max(self.zz.max(initial=0.0), 1e-30)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = self.left(kernel) / self.zz
        return np.where(alive, np.maximum(found, 0.0), np.nan)


class _Primal(_Centred):
    def __init__(self, moments, intercept):
        super().__init__(moments, intercept)
        n = max(moments.rows, 1)
        self.xx = moments.xx / n - np.outer(self.x, self.x)
        self.xz = moments.xz / n - np.outer(self.x, self.z)

    def fit(self, prior, ridge):
        size = len(self.xx)
        mean = max(np.trace(self.xx) / size, 1e-30)
        matrix = self.xx + ridge * mean * np.eye(size)
        error = self.xz - self.xx @ prior
        return prior + np.linalg.solve(matrix, error)

    def left(self, kernel):
        bent = self.xx @ kernel - 2.0 * self.xz
        return self.zz + np.einsum("dm,dm->m", kernel, bent)


class _Dual(_Centred):
    def __init__(self, moments, intercept):
        super().__init__(moments, intercept)
        self.rows_x = np.concatenate([x for x, _ in moments.kept]) - self.x
        self.rows_z = np.concatenate([z for _, z in moments.kept]) - self.z

    def fit(self, prior, ridge):
        x, n = self.rows_x, max(self.rows, 1)
        mean = max((x**2).sum() / n / x.shape[1], 1e-30)
        matrix = x @ x.T + ridge * mean * n * np.eye(len(x))
        error = self.rows_z - x @ prior
        return prior + x.T @ np.linalg.solve(matrix, error)

    def left(self, kernel):
        return ((self.rows_z - self.rows_x @ kernel) ** 2).mean(axis=0)


class RegressionOfEach:
    """One small regression for each channel, of the same interface.

    Args:
        inputs: Number of inputs of each channel.
        channels: Number of channels.
    """

    def __init__(self, inputs: int, channels: int):
        shapes = (channels, inputs), (channels,), (channels, inputs, inputs)
        self._sums = [np.zeros(s) for s in (*shapes, shapes[0], shapes[1])]
        self._rows = 0

    def add(self, x: np.ndarray, z: np.ndarray, first: int) -> None:
        """Add samples.

        Args:
            x: Inputs, of shape `(samples, rows of each, channels, inputs)`.
            z: Targets, of shape `(samples, rows of each, channels)`.
            first: Number of samples added before.
        """
        x = x.reshape(-1, *x.shape[2:]).transpose(1, 0, 2).astype(np.float64)
        z = z.reshape(-1, z.shape[-1]).T.astype(np.float64)
        self._rows += x.shape[1]
        new = (
            x.sum(1),
            z.sum(1),
            x.swapaxes(1, 2) @ x,
            (x.swapaxes(1, 2) @ z[..., None])[..., 0],
            (z**2).sum(1),
        )
        for total, value in zip(self._sums, new, strict=True):
            total += value

    def solve(
        self, prior: np.ndarray, ridge: float | str, intercept: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fit the targets; `prior` is of shape `(inputs, channels)`."""
        x, z, xx, xz, zz = (s / max(self._rows, 1) for s in self._sums)
        if not intercept:
            x, z = np.zeros_like(x), np.zeros_like(z)
        xx = xx - x[:, :, None] * x[:, None, :]
        xz, zz = xz - x * z[:, None], zz - z**2
        size = xx.shape[-1]
        mean = np.maximum(np.trace(xx, axis1=1, axis2=2) / size, 1e-30)
        strength = mean * (SHARES[0] if ridge == VALIDATION else ridge)
        matrix = xx + strength[:, None, None] * np.eye(size)
        prior = prior.T
        error = xz - (xx @ prior[..., None])[..., 0]
        kernel = prior + np.linalg.solve(matrix, error[..., None])[..., 0]
        bent = (xx @ kernel[..., None])[..., 0] - 2.0 * xz
        left = np.maximum(zz + (kernel * bent).sum(1), 0.0)
        alive = zz > 1e-10 * max(zz.max(initial=0.0), 1e-30)
        explained = 1.0 - left / np.where(alive, zz, 1.0)
        constant = z - (x * kernel).sum(1)
        return kernel.T, constant, np.where(alive, explained, np.nan)
