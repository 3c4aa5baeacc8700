"""Cutting patches out of a canvas at whole pixels, and adding them back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ptycho.physics.propagation import ComplexArray
from ptycho.physics.shapes import check_inside

__all__ = ["extract_patches", "scatter_patches"]


def extract_patches(canvas: ComplexArray, corners: NDArray[np.intp], frame_shape: tuple[int, int]) -> ComplexArray:
    """Return the patches (n, h, w) of a canvas (H, W) whose sample (0, 0) lies at `corners` (n, 2).

    Raises
    ------
    ShapeError
        If a patch leaves the canvas.
    """
    check_inside(corners, frame_shape, (canvas.shape[0], canvas.shape[1]))
    return np.lib.stride_tricks.sliding_window_view(canvas, frame_shape)[corners[:, 0], corners[:, 1]]


def scatter_patches(patches: ComplexArray, corners: NDArray[np.intp], canvas_shape: tuple[int, int]) -> ComplexArray:
    """Add patches (n, h, w) into an empty canvas at `corners` (n, 2): the adjoint of `extract_patches`.

    Raises
    ------
    ShapeError
        If a patch leaves the canvas.
    """
    h, w = patches.shape[-2:]
    check_inside(corners, (h, w), canvas_shape)
    canvas = np.zeros(canvas_shape, patches.dtype)
    for patch, (y, x) in zip(patches, corners, strict=True):
        canvas[y : y + h, x : x + w] += patch
    return canvas
