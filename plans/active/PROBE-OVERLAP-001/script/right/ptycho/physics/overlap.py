"""Overlap of neighbouring probe positions, by the area their discs share."""

from __future__ import annotations

import math

__all__ = ["disc_overlap"]


def disc_overlap(distance: float, radius: float) -> float:
    """Return the area that two equal discs share, as a fraction of one disc.

    Parameters
    ----------
    distance : float
        Distance of the centres, in the unit of `radius`.
    radius : float
        Radius of both discs.

    Returns
    -------
    float
        (2 / π) [arccos(u) − u √(1 − u²)] with u = distance / (2 radius): 1 at distance 0, 0 from two radii on.
    """
    u = distance / (2.0 * radius)
    if u >= 1.0:
        return 0.0
    return 2.0 / math.pi * (math.acos(u) - u * math.sqrt(1.0 - u * u))
