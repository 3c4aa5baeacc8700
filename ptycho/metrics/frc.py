"""Fourier ring correlation of two objects, and where it falls below a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ptycho.errors import ShapeError

__all__ = ["Crossing", "RingCorrelation", "find_crossing", "half_bit", "ring_correlation"]

FloatArray = NDArray[np.float64]

NYQUIST = 0.5  # cycles per pixel
FEWEST_SAMPLES = 4.0  # of a ring that can decide; with one sample half a bit asks for a correlation of 1


@dataclass(frozen=True, eq=False)
class RingCorrelation:
    """FRC(f) = Re Σ A B* / √(Σ|A|² Σ|B|²) over rings of the Fourier plane, DC left out.

    Attributes
    ----------
    frequency
        (n,) float64, centre of each ring in cycles per pixel, up to the inscribed Nyquist.
    correlation
        (n,) float64 in [−1, 1], signed.
    n_effective
        (n,) float64, independent Fourier samples of each ring: its pixels times the window fraction.
    """

    frequency: FloatArray
    correlation: FloatArray
    n_effective: FloatArray

    @property
    def mean(self) -> float:
        """Correlation averaged over the Fourier samples up to Nyquist; 0 ± 1/√(2n) for unrelated objects."""
        return float(np.average(self.correlation, weights=self.n_effective))


@dataclass(frozen=True)
class Crossing:
    """Where a ring correlation first falls below a threshold.

    Attributes
    ----------
    frequency
        Cycles per pixel, at most 0.5.
    at_least_nyquist
        True when the curve stays above the threshold up to Nyquist: the resolution is at least that good.
    """

    frequency: float
    at_least_nyquist: bool


def ring_correlation(
    first: NDArray[np.complexfloating], second: NDArray[np.complexfloating], window: FloatArray
) -> RingCorrelation:
    """Correlate two aligned complex objects ring by ring.

    The mean weighted with the window is removed, then both are multiplied with the window. A window makes
    neighbouring Fourier samples dependent; the fraction of independent ones is (Σw²)² / (N Σw⁴), which is
    the area fraction for a window of zeros and ones.

    Parameters
    ----------
    first, second
        (h, w) complex, on one grid, without relative shift, ramp or phase.
    window
        (h, w) float64, 0 outside the region known in both.

    Returns
    -------
    RingCorrelation
        Rings one Fourier pixel of the shorter side wide.

    Raises
    ------
    ShapeError
        If shapes differ, values are not finite, or the window is zero everywhere.
    """
    if first.ndim != 2 or first.shape != second.shape or window.shape != first.shape or not window.any():
        raise ShapeError(
            "ring correlation: expected two objects (h, w) and a window of that shape that is not zero, "
            f"found {first.shape}, {second.shape} and {window.shape}"
        )
    if not all(np.isfinite(image).all() for image in (first, second, window)):
        raise ShapeError(f"ring correlation: expected finite values, found NaN or infinity in {first.shape}")
    a, b = (_spectrum(image, window) for image in (first, second))
    n_rings = min(first.shape) // 2
    radius = np.hypot(scipy.fft.fftfreq(first.shape[0])[:, None], scipy.fft.fftfreq(first.shape[1]))
    ring = np.rint(radius * min(first.shape)).astype(int)
    inside = (ring >= 1) & (ring <= n_rings) & (radius <= NYQUIST)

    def ring_sums(values: FloatArray) -> FloatArray:
        return np.bincount(ring[inside], values[inside], n_rings + 1)[1:].astype(np.float64)

    cross = ring_sums((a * b.conj()).real)
    power = ring_sums(np.square(np.abs(a))) * ring_sums(np.square(np.abs(b)))
    fraction = float((window**2).sum() ** 2 / (window.size * (window**4).sum()))
    return RingCorrelation(
        frequency=np.arange(1, n_rings + 1) / min(first.shape),
        correlation=np.divide(cross, np.sqrt(power), out=np.zeros(n_rings), where=power > 0),
        n_effective=ring_sums(np.ones(first.shape)) * fraction,
    )


def half_bit(n_effective: FloatArray) -> FloatArray:
    """Return the half-bit threshold for rings of `n_effective` independent samples, for two half data sets.

    T = (0.2071 + 1.9102/√n) / (1.2071 + 0.9102/√n); van Heel & Schatz, J. Struct. Biol. 151 (2005) 250,
    doi:10.1016/j.jsb.2005.05.009, eq. 17.
    """
    root = np.sqrt(np.maximum(n_effective, 1))
    return (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root)


def find_crossing(curve: RingCorrelation, threshold: FloatArray | float) -> Crossing:
    """Return where the curve first falls below the threshold, interpolated linearly between rings.

    The first rings of a small or ragged region hold hardly one independent sample: the search starts at the
    first ring with four. Frequency 0 means that the curve lies below there, or that no ring has four.

    Parameters
    ----------
    curve
        A ring correlation.
    threshold
        One value, or one for each ring.
    """
    decisive = np.flatnonzero(curve.n_effective >= FEWEST_SAMPLES)
    if decisive.size == 0:
        return Crossing(0.0, at_least_nyquist=False)
    first = int(decisive[0])
    excess = curve.correlation - threshold
    below = first + np.flatnonzero(excess[first:] < 0)
    if below.size == 0:
        return Crossing(NYQUIST, at_least_nyquist=True)
    last = int(below[0])
    if last == first:
        return Crossing(0.0, at_least_nyquist=False)
    part = excess[last - 1] / (excess[last - 1] - excess[last])
    step = curve.frequency[last] - curve.frequency[last - 1]
    return Crossing(float(curve.frequency[last - 1] + part * step), at_least_nyquist=False)


def _spectrum(image: NDArray[np.complexfloating], window: FloatArray) -> NDArray[np.complex128]:
    """Return the spectrum of the windowed image without its weighted mean."""
    values = image.astype(np.complex128)
    values = window * (values - (window * values).sum() / window.sum())
    spectrum: NDArray[np.complex128] = scipy.fft.fft2(values, workers=2)
    return spectrum
