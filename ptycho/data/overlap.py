"""Overlap of neighbouring exposures, with the lit part of a probe taken for a disc."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from ptycho.errors import DataError

__all__ = ["NeighbourOverlap", "disc_overlap", "lattice_regularity", "linear_overlap", "neighbour_overlap"]


LATTICE_FRAMES = 4  # fewer make no lattice
LATTICE_STEPS = 50  # to each side of the middle: the part of a scan that is looked at


@dataclass(frozen=True)
class NeighbourOverlap:
    """Means over all frames of the overlap with the nearest other frame, by two measures.

    Attributes
    ----------
    area
        By the area that the discs share, `disc_overlap`.
    linear
        By their distance, `linear_overlap`; larger than `area` for the same scan, so say which one a figure is.
    """

    area: float
    linear: float


def disc_overlap(distance: ArrayLike, radius: float) -> NDArray[np.float64] | np.float64:
    """Return the area that two equal discs share, as a fraction of one disc.

    f(d) = (2/π) [arccos u − u √(1 − u²)] with u = d / 2R: 1 at d = 0, 0.391 at d = R, 0 from d = 2R on.

    Parameters
    ----------
    distance
        Of the centres, ≥ 0: a number or an array, in the unit of the radius.
    radius
        R > 0 of both discs; for a probe `ptycho.data.split.probe_radius`, which holds 90 % of its power.

    Returns
    -------
    float or array
        float64, of the shape of `distance`.

    Raises
    ------
    DataError
        If the radius is not above 0, or a distance below 0 or not a number.
    """
    u = _relative(distance, radius)
    shared: NDArray[np.float64] | np.float64 = 2 / np.pi * (np.arccos(u) - u * np.sqrt(1 - u**2))
    return shared


def linear_overlap(distance: ArrayLike, radius: float) -> NDArray[np.float64] | np.float64:
    """Return 1 − d / 2R, the overlap of two equal discs along the line of their centres, 0 from d = 2R on.

    Arguments and errors as in `disc_overlap`.
    """
    overlap: NDArray[np.float64] | np.float64 = 1 - _relative(distance, radius)
    return overlap


def neighbour_overlap(positions: NDArray[np.float64], radius: float) -> NeighbourOverlap:
    """Return the mean overlap of a scan's frames with their nearest neighbours.

    Parameters
    ----------
    positions
        (n, 2) float64, (y, x) in pixels; frames at one position overlap wholly.
    radius
        Of the probe, in pixels, as in `disc_overlap`.

    Raises
    ------
    DataError
        If there is one frame only, or the radius is not above 0.
    """
    if len(positions) < 2:
        raise DataError(f"overlap: expected positions (n, 2) of two frames or more, found {positions.shape}")
    nearest = cKDTree(positions).query(positions, k=2)[0][:, 1]
    return NeighbourOverlap(
        area=float(np.mean(disc_overlap(nearest, radius))), linear=float(np.mean(linear_overlap(nearest, radius)))
    )


def lattice_regularity(positions: NDArray[np.float64]) -> float | None:
    """Return how far a scan's positions form a lattice: 1 if they do, about ln n / n if they are drawn at random.

    The largest |Σ_j exp(−i q·r_j)|² / n² over wave vectors q of half to twice 2π / step and the n frames within 50
    steps of the middle; step is the median distance to the nearest neighbour. On a lattice the object may be
    multiplied by anything of its period and the probe divided by it: such a pattern in a result cannot be told from
    the object (Thibault et al., Ultramicroscopy 109, 338, 2009, doi:10.1016/j.ultramic.2008.12.011). Jitter of
    standard deviation σ along each axis lowers the value to exp(−|q|² σ²).

    Parameters
    ----------
    positions
        (n, 2) float64, (y, x) in pixels.

    Returns
    -------
    float
        None for fewer than four frames, or where most stand at one place.
    """
    if len(positions) < LATTICE_FRAMES:
        return None
    step = float(np.median(cKDTree(positions).query(positions, k=2)[0][:, 1]))
    off = np.abs(positions - np.median(positions, axis=0)).max(axis=1)
    positions = positions[off <= LATTICE_STEPS * step]
    if step == 0 or len(positions) < LATTICE_FRAMES:
        return None
    largest = 4 * np.pi / step
    cell = np.pi / 2 / np.maximum(np.ptp(positions, axis=0), step)
    axes = np.arange(0, largest, cell[0]), np.arange(-largest, largest, cell[1])  # q and −q give the same
    length = np.hypot(axes[0][:, None], axes[1])
    coarse = np.where((length >= largest / 4) & (length <= largest), _structure(positions, *axes), 0)
    peak = np.unravel_index(int(coarse.argmax()), coarse.shape)
    near = np.linspace(-1, 1, 17)
    return float(
        _structure(positions, *(axis[at] + size * near for axis, at, size in zip(axes, peak, cell, strict=True))).max()
    )


def _structure(
    positions: NDArray[np.float64], q_y: NDArray[np.float64], q_x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return |Σ_j exp(−i q·r_j)|² / n² for wave vectors on a grid, (len(q_y), len(q_x))."""
    waves = [np.exp(-1j * np.outer(q, positions[:, axis])) for axis, q in enumerate((q_y, q_x))]
    power: NDArray[np.float64] = np.abs(waves[0] @ waves[1].T) ** 2 / len(positions) ** 2
    return power


def _relative(distance: ArrayLike, radius: float) -> NDArray[np.float64]:
    """Return d / 2R, at most 1."""
    d = np.asarray(distance, np.float64)
    if not (radius > 0 and (d >= 0).all()):  # also true of NaN
        raise DataError(f"overlap: expected a radius > 0 and distances >= 0, found {radius} and {d.min(initial=0)}")
    return np.minimum(d / (2 * radius), 1)
