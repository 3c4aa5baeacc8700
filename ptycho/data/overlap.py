"""Overlap of neighbouring exposures, with the lit part of a probe taken for a disc."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from ptycho.errors import DataError

__all__ = ["NeighbourOverlap", "disc_overlap", "linear_overlap", "neighbour_overlap"]


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


def _relative(distance: ArrayLike, radius: float) -> NDArray[np.float64]:
    """Return d / 2R, at most 1."""
    d = np.asarray(distance, np.float64)
    if not (radius > 0 and (d >= 0).all()):  # also true of NaN
        raise DataError(f"overlap: expected a radius > 0 and distances >= 0, found {radius} and {d.min(initial=0)}")
    return np.minimum(d / (2 * radius), 1)
