"""Windows cut from canvases between pixels, bilinearly and with zeros outside, and the adjoint that adds them back."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["sample_windows", "spread_windows"]

Number = TypeVar("Number", bound=np.inexact)


def sample_windows(
    canvases: NDArray[Number], owners: NDArray[np.intp], points: NDArray[np.float64], window_shape: tuple[int, int]
) -> NDArray[Number]:
    """Return windows W_j(s) = Σ_d c_jd · canvas(⌊p_j⌋ + d + s), d ∈ {0, 1}², zero outside the canvas.

    With f = p − ⌊p⌋ the weights are c_d = Π_axis (1 − f or f): bilinear interpolation.

    Parameters
    ----------
    canvases
        (b, H, W) float or complex.
    owners
        (n,) int, which canvas each window is cut from.
    points
        (n, 2) float64, array index (y, x) of window sample (0, 0); may lie anywhere.
    window_shape
        (h, w).

    Returns
    -------
    array
        (n, h, w).
    """
    h, w = window_shape
    whole = np.floor(points)
    f_y, f_x = _fractions(points - whole, canvases)
    blocks = np.zeros((len(points), h + 1, w + 1), canvases.dtype)
    for block, owner, corner in zip(blocks, owners, whole, strict=True):
        inside, seen = _overlap(corner, (h + 1, w + 1), canvases.shape)
        block[inside] = canvases[owner][seen]
    rows = (1 - f_y) * blocks[:, :-1] + f_y * blocks[:, 1:]
    windows: NDArray[Number] = (1 - f_x) * rows[:, :, :-1] + f_x * rows[:, :, 1:]
    return windows


def spread_windows(
    windows: NDArray[Number], owners: NDArray[np.intp], points: NDArray[np.float64], stack_shape: tuple[int, int, int]
) -> NDArray[Number]:
    """Add windows (n, h, w) into empty canvases (b, H, W): the adjoint of `sample_windows`."""
    n, h, w = windows.shape
    whole = np.floor(points)
    f_y, f_x = _fractions(points - whole, windows)
    rows = np.zeros((n, h, w + 1), windows.dtype)
    rows[:, :, :-1] = (1 - f_x) * windows
    rows[:, :, 1:] += f_x * windows
    blocks = np.zeros((n, h + 1, w + 1), windows.dtype)
    blocks[:, :-1] = (1 - f_y) * rows
    blocks[:, 1:] += f_y * rows
    canvases = np.zeros(stack_shape, windows.dtype)
    for block, owner, corner in zip(blocks, owners, whole, strict=True):
        inside, seen = _overlap(corner, (h + 1, w + 1), stack_shape)
        canvases[owner][seen] += block[inside]
    return canvases


def _fractions(
    fractions: NDArray[np.float64], like: NDArray[np.inexact]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return f_y and f_x, each (n, 1, 1), in the precision of an array."""
    f_y, f_x = fractions.astype(like.real.dtype).T[:, :, None, None]
    return f_y, f_x


def _overlap(
    corner: NDArray[np.float64], block_shape: tuple[int, int], stack_shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the part of a block that lies on the canvas, as slices of the block and of the canvas."""
    inside, seen = [], []
    for start, size, limit in zip(corner.clip(-(2**31), 2**31), block_shape, stack_shape[-2:], strict=True):
        first, last = max(int(start), 0), min(int(start) + size, limit)
        last = max(first, last)
        seen.append(slice(first, last))
        inside.append(slice(first - int(start), last - int(start)) if last > first else slice(0, 0))
    return (inside[0], inside[1]), (seen[0], seen[1])
