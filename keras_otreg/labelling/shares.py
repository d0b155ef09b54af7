"""Shares of the classes among unlabelled samples."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_otreg import checks
from keras_otreg.features.batches import finite_log, softmax
from keras_otreg.heads import VALIDATION, targets_of

# Shares of the classes that are not given as numbers.
MODEL, LABELLED, UNIFORM = "model", "labelled", "uniform"
NAMED = (MODEL, LABELLED, UNIFORM, VALIDATION)
# Factors of the logits are at most this, and at least its inverse.
STEEPEST = 20.0
# Strength of the squares of biases beside a sum over samples.
RIDGE = 1.0
# Expectation-maximisation ends after a smaller change, or so many rounds.
SMALL, MOST_ROUNDS = 1e-6, 300


def known_shares(shares, classes, class_names=None):
    """Return the shares of all classes, given as an array or a mapping."""
    if isinstance(shares, Mapping):
        names = range(classes) if class_names is None else class_names
        if set(shares) != set(names) or len(names) != classes:
            raise checks.invalid(
                f"a share of each of the {classes} classes, {[*names]}",
                f"shares of {[*shares]}",
                "Write 0 for a class that is not there, and pass `class_names` "
                "for a mapping from names.",
                argument="shares",
            )
        shares = [shares[name] for name in names]
    return checks.class_shares(shares, classes, "shares", relative=False)


def shares_of(shares, p, y=None, validation=None, class_names=None):
    """Return shares of classes, given or by name, for probabilities of samples.

    Those of `"model"` are a first estimate.
    """
    classes = p.shape[1]
    if not isinstance(shares, str):
        return known_shares(shares, classes, class_names)
    checks.one_of(shares, NAMED, "shares")
    check_validation(shares, validation)
    if shares == VALIDATION:
        return estimated_shares(p, *_held_out(validation, classes))
    if shares == UNIFORM:
        return np.full(classes, 1.0 / classes)
    if shares == MODEL:
        return p.mean(axis=0)
    if y is None:
        raise checks.invalid(
            "labels of the labelled samples, for the shares 'labelled'", "None"
        )
    return _frequencies(targets_of(y, classes))


def check_validation(shares: Any, validation: Any) -> bool:
    """Return whether shares are estimated from validation samples.

    Raise if there are none.
    """
    is_by_validation = isinstance(shares, str) and shares == VALIDATION
    if is_by_validation and validation is None:
        raise checks.invalid(
            "validation samples with labels, for the shares 'validation'",
            "None",
            "Pass them, or the shares, or leave out `shares`.",
            argument="validation",
        )
    return is_by_validation


def estimated_shares(p, p_valid, targets):
    """Return the shares of classes that explain probabilities best.

    A classifier that is calibrated on validation samples is adjusted to other
    shares by expectation-maximisation, under a prior as strong as all `p`.

    References:
        Saerens, Latinne and Decaestecker (Neural Computation 14, 2002).
    """
    factor, bias = _calibration(finite_log(p_valid), targets)
    shares = prior = _frequencies(targets)
    ratios = softmax(factor * finite_log(p) + bias) / prior
    for _ in range(MOST_ROUNDS):
        before = shares
        # Mean probability of each class, adjusted to the shares.
        mean = shares * ((1.0 / (ratios @ shares)) @ ratios) / len(p)
        shares = 0.5 * (mean + prior)
        if np.abs(shares - before).max() < SMALL:
            break
    return shares


def _frequencies(targets):
    """Shares of classes in labels."""
    counts = targets.sum(axis=0)
    # None is zero: a small draw may have missed a class.
    return (counts + 1.0) / (counts.sum() + len(counts))


def _held_out(validation, classes):
    """Probabilities and targets of validation samples."""
    values, y, *_ = checks.labelled_batch(validation)
    p = check_probabilities(values, VALIDATION)
    targets = targets_of(y, classes, name=VALIDATION)
    targets = check_probabilities(targets, VALIDATION)
    if p.shape != targets.shape:
        raise checks.invalid(
            f"probabilities of the {classes} classes and a label for each "
            "validation sample",
            f"probabilities of shape {p.shape} and {len(targets)} labels",
            argument="validation",
        )
    return p, targets


def _calibration(logits, targets):
    """The factor and biases of logits of least cross-entropy."""
    optimize, special = (
        checks.installed(f"scipy.{module}", "demo", "Estimated shares")
        for module in ("optimize", "special")
    )

    def loss(values):
        factor, bias = np.exp(values[0]), values[1:]
        scores = factor * logits + bias
        log_sums = special.logsumexp(scores, axis=1, keepdims=True)
        error = np.exp(scores - log_sums) - targets
        value = log_sums.sum() - np.vdot(targets, scores)
        value += RIDGE * np.square(bias).sum()
        by_bias = error.sum(axis=0) + 2.0 * RIDGE * bias
        return value, np.append(factor * np.vdot(error, logits), by_bias)

    most, classes = np.log(STEEPEST), logits.shape[1]
    found = optimize.minimize(
        loss,
        np.zeros(1 + classes),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-most, most)] + [(None, None)] * classes,
    ).x
    return np.exp(found[0]), found[1:]


def check_probabilities(values: Any, name: str) -> Any:
    """Return probabilities of samples, a row for each."""
    p = checks.finite_array(values, name, least_rank=2)
    # They may miss a sum of one by this much, and in half precision by more.
    rounding = 1e-3
    if p.dtype.itemsize < 4:
        p, rounding = p.astype("float32"), 5e-3
    is_share = p.ndim == 2 and p.shape[1] > 1 and (p >= 0.0).all()
    if is_share and np.allclose(p.sum(axis=1), 1.0, atol=rounding):
        return p
    raise checks.invalid(
        "probabilities of shape (samples, classes), of two or more classes, "
        "whose rows sum to 1",
        f"shape {p.shape}, values from {p.min():.3g} to {p.max():.3g}",
        "Put a softmax behind logits, and two units in place of a sigmoid.",
        argument=name,
    )
