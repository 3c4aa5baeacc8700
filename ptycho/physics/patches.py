"""Cutting patches out of a canvas, adding them back, and merging patches into an object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ptycho.errors import ShapeError
from ptycho.physics.propagation import ComplexArray

__all__ = ["extract_patches", "merge_patches", "scatter_patches"]

SUPPORT_LIMIT = 1e-6  # of the largest weight; below it the merged object is undefined


def extract_patches(canvas: ComplexArray, corners: NDArray[np.intp], frame_shape: tuple[int, int]) -> ComplexArray:
    """Return the patches (n, h, w) of a canvas (H, W) whose sample (0, 0) lies at `corners` (n, 2).

    Raises
    ------
    ShapeError
        If a patch leaves the canvas.
    """
    _check_corners(corners, frame_shape, (canvas.shape[0], canvas.shape[1]))
    return np.lib.stride_tricks.sliding_window_view(canvas, frame_shape)[corners[:, 0], corners[:, 1]]


def scatter_patches(patches: ComplexArray, corners: NDArray[np.intp], canvas_shape: tuple[int, int]) -> ComplexArray:
    """Add patches (n, h, w) into an empty canvas at `corners` (n, 2): the adjoint of `extract_patches`.

    Raises
    ------
    ShapeError
        If a patch leaves the canvas.
    """
    h, w = patches.shape[-2:]
    _check_corners(corners, (h, w), canvas_shape)
    canvas = np.zeros(canvas_shape, patches.dtype)
    for patch, (y, x) in zip(patches, corners, strict=True):
        canvas[y : y + h, x : x + w] += patch
    return canvas


def merge_patches(
    patches: ComplexArray,
    weights: NDArray[np.floating],
    corners: NDArray[np.intp],
    canvas_shape: tuple[int, int],
) -> tuple[ComplexArray, NDArray[np.bool_]]:
    """Merge object patches into one object: O = Σ_j Tᴴ_j(w O_j) / Σ_j Tᴴ_j w.

    Parameters
    ----------
    patches
        (n, h, w) complex object patches.
    weights
        (h, w) float >= 0, Σ_m|P_m|² as a rule; the same support in numerator and denominator.
    corners
        (n, 2) int, array index of patch sample (0, 0).
    canvas_shape
        (H, W) of the result.

    Returns
    -------
    merged
        (H, W) complex, 0 where undefined.
    support
        (H, W) bool, True where the denominator is at least 1e-6 of its maximum.
    """
    total = scatter_patches(np.broadcast_to(weights, patches.shape).astype(patches.dtype), corners, canvas_shape)
    denominator = total.real
    support = denominator >= SUPPORT_LIMIT * denominator.max()
    merged = np.zeros_like(total)
    np.divide(scatter_patches(weights * patches, corners, canvas_shape), denominator, out=merged, where=support)
    return merged, support


def _check_corners(corners: NDArray[np.intp], frame_shape: tuple[int, int], canvas_shape: tuple[int, int]) -> None:
    """Raise unless every patch lies inside the canvas."""
    room = np.array(canvas_shape) - np.array(frame_shape)
    outside = ((corners < 0) | (corners > room)).any(axis=1)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise ShapeError(
            f"patch {first}: expected its corner between (0, 0) and {tuple(int(r) for r in room)}, found "
            f"{tuple(int(c) for c in corners[first])}; make the canvas from these positions (make_canvas)"
        )
