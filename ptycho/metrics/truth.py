"""Comparison of a reconstruction with a known object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptycho.metrics.frc import RingCorrelation, ring_correlation
from ptycho.metrics.images import ImageScores, compare_images
from ptycho.metrics.registration import Aligned, FloatArray, Placed, align

__all__ = ["TruthComparison", "compare_to_truth", "score_pair"]

INSIDE = 0.5  # of the window's maximum: interpolation mixes what lies outside the region into its rim


@dataclass(frozen=True, eq=False)
class TruthComparison:
    """How far a result is from the truth.

    Attributes
    ----------
    complex_error
        √(Σ w|cO − T|² / Σ w|T|²) with the c that makes it smallest.
    amplitude_correlation
        Pearson correlation of |O| and |T| under the window; 0 if either is constant.
    phase_correlation
        Correlation of exp(i arg O) and exp(i arg T) about their means, so that wrapping does not matter.
    amplitude, phase
        Scores of |cO| against |T| and of exp(i arg cO) against exp(i arg T), where the window is at least one half.
    curve
        Ring correlation with the truth.
    aligned
        Truth (reference) and result (moving) in one frame.
    """

    complex_error: float
    amplitude_correlation: float
    phase_correlation: float
    amplitude: ImageScores
    phase: ImageScores
    curve: RingCorrelation
    aligned: Aligned


def compare_to_truth(result: Placed, truth: Placed) -> TruthComparison:
    """Compare a result with the truth over the region that was covered.

    Parameters
    ----------
    result
        In the gauge of `ptycho.metrics.gauge`; it is the one that is interpolated.
    truth
        The known object, with a region that is True wherever it is known.

    Raises
    ------
    ShapeError
        If they do not overlap.
    """
    return score_pair(align(truth, result))


def score_pair(aligned: Aligned) -> TruthComparison:
    """Return how far `aligned.moving` is from `aligned.reference`, which need not be a truth."""
    known, found, window = aligned.reference, aligned.moving, aligned.window
    factor = (window * found.conj() * known).sum() / (window * np.square(np.abs(found))).sum()
    fitted, inside = factor * found, window >= INSIDE * window.max()
    misfit = (window * np.square(np.abs(fitted - known))).sum()
    return TruthComparison(
        complex_error=float(np.sqrt(misfit / (window * np.square(np.abs(known))).sum())),
        amplitude_correlation=_correlate(np.abs(found), np.abs(known), window),
        phase_correlation=_correlate(np.exp(1j * np.angle(found)), np.exp(1j * np.angle(known)), window),
        amplitude=compare_images(np.abs(known), np.abs(fitted), inside),
        phase=compare_images(np.exp(1j * np.angle(known)), np.exp(1j * np.angle(fitted)), inside),
        curve=ring_correlation(known, found, window),
        aligned=aligned,
    )


def _correlate(a: NDArray[np.inexact], b: NDArray[np.inexact], window: FloatArray) -> float:
    """Return Re ⟨a − ⟨a⟩, b − ⟨b⟩⟩ / (‖a − ⟨a⟩‖ ‖b − ⟨b⟩‖) under the window, 0 for a constant."""
    a, b = (values - (window * values).sum() / window.sum() for values in (a, b))
    norm = np.sqrt((window * np.square(np.abs(a))).sum() * (window * np.square(np.abs(b))).sum())
    return float((window * a * b.conj()).sum().real / norm) if norm > 0 else 0.0
