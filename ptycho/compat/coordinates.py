"""The published coordinates of groups: their axis order and their sign, in this one place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ptycho.data.groups import Groups

__all__ = ["publish_coordinates", "true_offsets"]


def publish_coordinates(groups: Groups) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the centres (B, 1, 2, 1) and the relative coordinates (B, 1, 2, C) of groups, in the order [x, y].

    Relative coordinates are −(true offset), which is what moves a patch's frame back to its group's.
    """
    centres = groups.centres[:, None, ::-1, None]
    relative = 0.0 - np.moveaxis(groups.offsets, 1, 2)[:, None, ::-1]  # 0 − x, lest 0 become −0
    return np.ascontiguousarray(centres), np.ascontiguousarray(relative)


def true_offsets(relative: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the true offsets (B, C, 2) as (y, x) from relative coordinates (B, 1, 2, C): the way back."""
    return np.ascontiguousarray(-np.moveaxis(relative[:, 0, ::-1], 2, 1), np.float64)
