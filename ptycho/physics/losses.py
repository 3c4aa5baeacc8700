"""Losses: one formula and one reduction, the mean over valid pixels of all frames.

Counts k and models λ are (..., h, w) in photons; a detector mask (h, w) is True where pixels count.
"""

from __future__ import annotations

import numpy as np
import scipy.special
from numpy.typing import NDArray

from ptycho.physics.shapes import check_frames, check_shape
from ptycho.physics.statistics import LAMBDA_FLOOR, expected_deviance

__all__ = ["amplitude_mae", "amplitude_mse", "complex_mae", "deviance_ratio", "poisson_nll", "total_variation"]

Real = NDArray[np.floating]
Mask = NDArray[np.bool_] | None


def poisson_nll(counts: Real, model: Real, mask: Mask = None, *, constant: bool = False) -> np.floating:
    """Return the negative Poisson log-likelihood, mean(λ' − k ln λ') with λ' = λ + 1e-6.

    Parameters
    ----------
    counts, model
        (..., h, w), k and λ ≥ 0 in photons.
    mask
        (h, w) bool, True where a pixel counts; None for all.
    constant
        Add ln k!, which no parameter changes.

    Raises
    ------
    ShapeError
        If counts, model and mask do not fit.
    """
    k, lam = _valid(counts, model, mask)
    floored = lam + np.asarray(LAMBDA_FLOOR, lam.dtype)
    terms = floored - k * np.log(floored)
    return _mean(terms + scipy.special.gammaln(k + 1) if constant else terms, mask)


def amplitude_mae(counts: Real, model: Real, mask: Mask = None) -> np.floating:
    """Return mean |√k − √λ|; arguments and errors as in `poisson_nll`, any unit of intensity.

    Where λ is exactly 0 the gradient is taken as 0.
    """
    k, lam = _valid(counts, model, mask)
    return _mean(np.abs(np.sqrt(k) - np.sqrt(lam)), mask)


def amplitude_mse(counts: Real, model: Real, mask: Mask = None) -> np.floating:
    """Return mean (√k − √λ)²; arguments and errors as in `poisson_nll`, any unit of intensity.

    Where λ is exactly 0 the gradient is taken as 0.
    """
    k, lam = _valid(counts, model, mask)
    return _mean(np.square(np.sqrt(k) - np.sqrt(lam)), mask)


def deviance_ratio(counts: Real, model: Real, mask: Mask = None) -> np.floating:
    """Return Σ 2[λ' − k + k ln(k/λ')] over its expectation for k ~ Poisson(λ'): 1 at the truth, less for overfits.

    λ' = λ + 1e-6. Computed in float64 whatever comes in, for the terms cancel; arguments and errors as in
    `poisson_nll`. Expectation: `ptycho.physics.statistics.expected_deviance`.
    """
    k, lam = _valid(counts.astype(np.float64), model.astype(np.float64), mask)
    floored = lam + LAMBDA_FLOOR
    terms = 2 * (floored - k + scipy.special.xlogy(k, k) - k * np.log(floored))
    ratio: np.floating = _mean(terms, mask) / _mean(expected_deviance(np.asarray(floored, np.float64)), mask)
    return ratio


def total_variation(images: NDArray[np.inexact]) -> np.floating:
    """Return mean |O(y+1, x) − O(y, x)| + mean |O(y, x+1) − O(y, x)| of images (..., h, w), moduli if complex."""
    total: np.floating = np.abs(np.diff(images, axis=-2)).mean() + np.abs(np.diff(images, axis=-1)).mean()
    return total


def complex_mae(truth: NDArray[np.inexact], estimate: NDArray[np.inexact], mask: Mask = None) -> np.floating:
    """Return mean |O − Ô| of images (..., h, w) over the valid pixels (h, w).

    Raises
    ------
    ShapeError
        If truth, estimate and mask do not fit.
    """
    check_shape("estimate", estimate.shape, truth.shape, "compare images of one shape")
    check_frames(truth.shape, estimate.shape, None if mask is None else mask.shape)
    difference = truth - estimate
    return _mean(np.abs(difference if mask is None else np.where(mask, difference, 0)), mask)


def _valid(counts: Real, model: Real, mask: Mask) -> tuple[Real, Real]:
    """Return k and λ, both in the precision of λ, with 1 on invalid pixels, whatever stood there."""
    check_frames(counts.shape, model.shape, None if mask is None else mask.shape)
    counts = counts.astype(model.dtype, copy=False)
    if mask is None:
        return counts, model
    one = np.ones((), model.dtype)
    return np.where(mask, counts, one), np.where(mask, model, one)


def _mean(terms: Real, mask: Mask) -> np.floating:
    """Return the mean over all valid pixels of all frames."""
    mean: np.floating = terms.mean(where=True if mask is None else np.broadcast_to(mask, terms.shape))
    return mean
