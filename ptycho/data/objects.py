"""Objects for simulations, whose amplitude and phase have nothing to do with each other."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

__all__ = ["make_shapes"]

LOWEST_AMPLITUDE = 0.4
PHASE_RANGE_RAD = 1.4
SHAPES_PER_PX = 90 / 350**2
BAR_SHARE = 0.6  # of the shapes; the others are discs
GRAIN_PX = 4.0


def make_shapes(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.complex128]:
    """Return overlapping bars and discs of random grey under a fine grain: one picture in amplitude, one in phase.

    Parameters
    ----------
    shape
        (H, W) in pixels.
    rng
        Draws both pictures, independently.

    Returns
    -------
    array
        (H, W) complex128: amplitude from 0.4 to 1, phase from −0.7 to 0.7 rad; edges are one pixel wide.
    """
    amplitude = LOWEST_AMPLITUDE + (1 - LOWEST_AMPLITUDE) * _draw(shape, rng)
    obj: NDArray[np.complex128] = amplitude * np.exp(1j * PHASE_RANGE_RAD * (_draw(shape, rng) - 0.5))
    return obj


def _draw(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return one picture with values in [0, 1]."""
    picture = np.zeros(shape)
    y, x = np.indices(shape)
    for _ in range(max(1, round(SHAPES_PER_PX * shape[0] * shape[1]))):
        dy, dx = y - rng.uniform(0, shape[0]), x - rng.uniform(0, shape[1])
        angle, length, width = rng.uniform(0, np.pi), rng.uniform(6, 60), rng.uniform(1.5, 8)
        along, across = dy * np.sin(angle) + dx * np.cos(angle), dy * np.cos(angle) - dx * np.sin(angle)
        inside = (
            np.minimum(length / 2 - np.abs(along), width / 2 - np.abs(across))
            if rng.random() < BAR_SHARE
            else rng.uniform(4, 14) - np.hypot(dy, dx)
        )
        cover = np.clip(inside + 0.5, 0, 1)
        picture = picture * (1 - cover) + cover * rng.uniform(0, 1)
    grain = scipy.ndimage.gaussian_filter(rng.standard_normal(shape), GRAIN_PX, mode="wrap")
    drawn: NDArray[np.float64] = np.clip(0.8 * picture + 0.08 * (grain / grain.std() + 1), 0, 1)
    return drawn
