"""How well a reconstruction explains diffraction frames, beside what counting photons alone would leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import scipy.special
from numpy.typing import NDArray

from ptycho.errors import ShapeError
from ptycho.physics.statistics import LAMBDA_FLOOR, expected_amplitude_error, expected_deviance

__all__ = [
    "FrameScores",
    "bootstrap_error",
    "fit_frame_factors",
    "fourier_error",
    "score_frames",
]

FloatArray = NDArray[np.float64]

SLAB = 16  # frames scored at a time: float64 copies of a whole scan would be large


@dataclass(frozen=True, eq=False)
class FrameScores:
    """Sums over the valid pixels of each frame; every score is a ratio of their totals.

    Attributes
    ----------
    counts
        (n,) Σ k.
    error, error_expected
        (n,) Σ (√k − √λ)² and its mean when k ~ Poisson(λ).
    deviance, deviance_expected
        (n,) Σ 2[λ − k + k ln(k/λ)] and its mean when k ~ Poisson(λ).
    nll
        (n,) Σ (λ' − k ln λ') with λ' = λ + 1e-6; the constant ln k! is left out.
    pixels
        (n,) number of valid pixels.
    """

    counts: FloatArray
    error: FloatArray
    error_expected: FloatArray
    deviance: FloatArray
    deviance_expected: FloatArray
    nll: FloatArray
    pixels: FloatArray

    def __post_init__(self) -> None:
        shapes = {item.name: getattr(self, item.name).shape for item in fields(self)}
        if len(set(shapes.values())) != 1 or self.counts.ndim != 1 or self.counts.size == 0:
            raise ShapeError(f"frame scores: expected seven arrays of one shape (n,), n > 0, found {shapes}")

    @property
    def n_frames(self) -> int:
        """Number of scored frames."""
        return self.counts.size

    @property
    def fourier_error(self) -> float:
        """R = Σ (√k − √λ)² / Σ k."""
        return float(self.error.sum() / self.counts.sum())

    @property
    def fourier_error_expected(self) -> float:
        """The value of R that counting statistics alone leave at λ, the shot-noise floor."""
        return float(self.error_expected.sum() / self.counts.sum())

    @property
    def error_over_expected(self) -> float:
        """R over its Poisson expectation: 1 at the truth, below 1 for a fit to the noise."""
        return float(self.error.sum() / self.error_expected.sum())

    @property
    def deviance_over_expected(self) -> float:
        """The Poisson deviance over its expectation: 1 at the truth, below 1 for a fit to the noise."""
        return float(self.deviance.sum() / self.deviance_expected.sum())

    @property
    def nll_per_pixel(self) -> float:
        """Mean of λ' − k ln λ' over the valid pixels."""
        return float(self.nll.sum() / self.pixels.sum())

    def select(self, indices: NDArray[np.integer]) -> FrameScores:
        """Return the scores of the frames `indices`, repetitions allowed."""
        return FrameScores(**{item.name: getattr(self, item.name)[indices] for item in fields(self)})


def score_frames(counts: NDArray[np.floating], model: NDArray[np.floating], mask: NDArray[np.bool_]) -> FrameScores:
    """Compare measured with predicted photon counts, frame by frame.

    Parameters
    ----------
    counts
        (n, h, w) photon counts k.
    model
        (n, h, w) predicted mean counts λ ≥ 0.
    mask
        (h, w) bool, True where the detector can be believed; other pixels count nowhere.

    Returns
    -------
    FrameScores

    Raises
    ------
    ShapeError
        If the arrays do not fit each other.
    """
    _check_frames(counts, model, mask)
    sums = np.empty((7, counts.shape[0]))
    for start in range(0, counts.shape[0], SLAB):
        slab = slice(start, start + SLAB)
        k = counts[slab][:, mask].astype(np.float64)
        lam = model[slab][:, mask].astype(np.float64) + LAMBDA_FLOOR
        log_lam = np.log(lam)
        sums[:, slab] = (
            k.sum(axis=1),
            np.square(np.sqrt(k) - np.sqrt(lam)).sum(axis=1),
            expected_amplitude_error(lam).sum(axis=1),
            2 * (lam - k + scipy.special.xlogy(k, k) - k * log_lam).sum(axis=1),
            expected_deviance(lam).sum(axis=1),
            (lam - k * log_lam).sum(axis=1),
            np.full(k.shape[0], k.shape[1]),
        )
    return FrameScores(*sums)


def fourier_error(counts: NDArray[np.floating], model: NDArray[np.floating], mask: NDArray[np.bool_]) -> float:
    """Return R = Σ (√k − √λ)² / Σ k over valid pixels alone, for the figure other programs print.

    Parameters
    ----------
    counts, model, mask
        As in `score_frames`.

    Raises
    ------
    ShapeError
        If the arrays do not fit each other.
    """
    _check_frames(counts, model, mask)
    error = sum(
        float(np.square(np.sqrt(k[mask]) - np.sqrt(lam[mask])).sum(dtype=np.float64))
        for k, lam in zip(counts, model, strict=True)
    )
    return error / float(counts[:, mask].sum(dtype=np.float64))


def fit_frame_factors(counts: NDArray[np.floating], model: NDArray[np.floating], mask: NDArray[np.bool_]) -> FloatArray:
    """Return the intensity factor of each frame that maximises the Poisson likelihood, Σ k / Σ λ.

    It is the only freedom a held-out frame is given: the flux differs from one exposure to the next.

    Parameters
    ----------
    counts, model, mask
        As in `score_frames`.

    Returns
    -------
    ndarray
        (n,) float64; 1 where the model predicts no photon at all.

    Raises
    ------
    ShapeError
        If the arrays do not fit each other.
    """
    _check_frames(counts, model, mask)
    measured = np.array([frame[mask].sum(dtype=np.float64) for frame in counts])
    predicted = np.array([frame[mask].sum(dtype=np.float64) for frame in model])
    factors: FloatArray = np.divide(measured, predicted, out=np.ones_like(measured), where=predicted > 0)
    return factors


def bootstrap_error(statistic: Callable[..., float], *groups: FrameScores, seed: int, resamples: int = 200) -> float:
    """Return the standard error of ``statistic(*groups)`` when frames are drawn again with replacement.

    Each group is resampled by itself (Efron, Ann. Stat. 7 (1979) 1, doi:10.1214/aos/1176344552).

    Parameters
    ----------
    statistic
        Takes as many `FrameScores` as there are groups.
    groups
        What was scored.
    seed
        Seed of the private generator: one seed, one error.
    resamples
        How many times to draw.
    """
    rng = np.random.default_rng(seed)
    values = [
        statistic(*(group.select(rng.integers(0, group.n_frames, group.n_frames)) for group in groups))
        for _ in range(resamples)
    ]
    return float(np.std(values, ddof=1))


def _check_frames(counts: NDArray[np.floating], model: NDArray[np.floating], mask: NDArray[np.bool_]) -> None:
    """Raise unless frames, model and mask belong together and a pixel is left to score."""
    if counts.ndim != 3 or model.shape != counts.shape or mask.shape != counts.shape[1:] or not mask.any():
        raise ShapeError(
            "frame scores: expected counts and model (n, h, w) and a mask (h, w) with a valid pixel, "
            f"found {counts.shape}, {model.shape} and {mask.shape} with {int(mask.sum())} valid"
        )
