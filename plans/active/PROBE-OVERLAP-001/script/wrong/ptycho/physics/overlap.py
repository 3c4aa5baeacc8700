"""Overlap of neighbouring probe positions."""

from __future__ import annotations

__all__ = ["disc_overlap"]


def disc_overlap(distance: float, radius: float) -> float:
    """Return the overlap of two equal discs as a fraction."""
    return max(0.0, 1.0 - distance / (2.0 * radius))
