"""Groups of neighbouring patches: cut from one canvas per group, added back, and merged.

One convention: a group of C positions has a centre, and the true offset of a patch is its position − that centre.
Patches are (B, h, w, C), offsets (B, C, 2) in order (y, x); sample (h//2, w//2) of a patch with offset t lies at
index (H//2, W//2) + t of its group's canvas (B, H, W, 1). Between pixels everything is bilinear.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ptycho.physics.interpolation import sample_windows, spread_windows
from ptycho.physics.shapes import check_axes, check_groups, check_inside, check_shape

__all__ = [
    "SUPPORT_LIMIT",
    "accumulate_canvas",
    "accumulate_groups",
    "divide_on_support",
    "merge_groups",
    "offset_axes",
    "padded_shape",
    "publish_offsets",
    "read_offsets",
    "sample_groups",
    "split_groups",
    "spread_groups",
]

Number = TypeVar("Number", bound=np.inexact)

SUPPORT_LIMIT = 1e-6  # of the largest weight; below it the merged object is undefined


def split_groups(positions: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Split positions of groups (B, C, 2) into centres (B, 1, 2), their means, and true offsets (B, C, 2)."""
    centres = positions.mean(axis=1, keepdims=True)
    return centres, positions - centres


def publish_offsets(offsets: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the published array `coords_relative` (B, 1, 2, C) in order [x, y] of true offsets (B, C, 2) in (y, x).

    It is −(true offset): here axes and sign change, and in its inverse `offset_axes`, nowhere else.
    """
    return -np.swapaxes(offsets[..., ::-1], 1, 2)[:, None]


def read_offsets(coords_relative: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the true offsets (B, C, 2) in (y, x) of a published `coords_relative` (B, 1, 2, C) in [x, y].

    Raises
    ------
    ShapeError
        If the array is not (B, 1, 2, C).
    """
    found = coords_relative.shape
    check_axes("coords_relative", found, "(B, 1, 2, C)")
    check_shape("coords_relative", found, (found[0], 1, 2, found[-1]), "published offsets are (B, 1, 2, C) in [x, y]")
    return np.stack(offset_axes(coords_relative), axis=-1)


def offset_axes(coords_relative: Any) -> tuple[Any, Any]:  # noqa: ANN401 -- arrays of any framework
    """Return y and x, each (B, C), of the true offsets in a published `coords_relative` (B, 1, 2, C)."""
    return -coords_relative[:, 0, 1], -coords_relative[:, 0, 0]


def padded_shape(offsets: NDArray[np.float64], frame_shape: tuple[int, int]) -> tuple[int, int]:
    """Return the smallest canvas (H, W), grown evenly from (h, w), that holds every patch of every group."""
    reach = np.ceil(np.abs(offsets).reshape(-1, 2).max(axis=0)).astype(int)
    return frame_shape[0] + 2 * int(reach[0]), frame_shape[1] + 2 * int(reach[1])


def sample_groups(
    canvases: NDArray[Number], offsets: NDArray[np.float64], frame_shape: tuple[int, int]
) -> NDArray[Number]:
    """Cut the patches of each group from its canvas, bilinearly: T of PHYSICS, one T_k for each offset.

    Parameters
    ----------
    canvases
        (B, H, W, 1) float or complex.
    offsets
        (B, C, 2) float64, true offsets (y, x) in pixels.
    frame_shape
        (h, w) of a patch.

    Returns
    -------
    array
        (B, h, w, C).

    Raises
    ------
    ShapeError
        If shapes do not fit, or a patch leaves its canvas.
    """
    check_axes("canvases", canvases.shape, "(B, H, W, 1)")
    b, height, width, _ = canvases.shape
    c = offsets.shape[1]
    check_groups((b, *frame_shape, c), offsets.shape)
    points = _points(offsets, frame_shape, (height, width))
    windows = sample_windows(canvases[..., 0], np.repeat(np.arange(b), c), points, frame_shape)
    return np.moveaxis(windows.reshape(b, c, *frame_shape), 1, -1)


def spread_groups(
    patches: NDArray[Number], offsets: NDArray[np.float64], padded_shape: tuple[int, int]
) -> NDArray[Number]:
    """Add the patches (B, h, w, C) of each group into an empty canvas (B, H, W, 1): the adjoint of `sample_groups`."""
    check_groups(patches.shape, offsets.shape)
    b, h, w, c = patches.shape
    windows = np.moveaxis(patches, -1, 1).reshape(b * c, h, w)
    points = _points(offsets, (h, w), padded_shape)
    return spread_windows(windows, np.repeat(np.arange(b), c), points, (b, *padded_shape))[..., None]


def accumulate_groups(
    patches: NDArray[Number],
    offsets: NDArray[np.float64],
    weights: NDArray[np.floating],
    padded_shape: tuple[int, int],
) -> tuple[NDArray[Number], NDArray[np.floating]]:
    """Return what a merge divides: Σ_k T_kᴴ(w O_k) and Σ_k T_kᴴ w, each (B, H, W, 1).

    Parameters
    ----------
    patches
        (B, h, w, C) float or complex.
    offsets
        (B, C, 2) float64, true offsets (y, x) in pixels.
    weights
        (h, w) ≥ 0, one w for numerator and denominator.
    padded_shape
        (H, W) of the canvas of a group.
    """
    check_groups(patches.shape, offsets.shape, weights.shape)
    w = weights.astype(patches.real.dtype)[..., None]
    numerator = spread_groups(w * patches, offsets, padded_shape)
    return numerator, spread_groups(np.broadcast_to(w, patches.shape), offsets, padded_shape)


def merge_groups(
    patches: NDArray[Number],
    offsets: NDArray[np.float64],
    weights: NDArray[np.floating],
    padded_shape: tuple[int, int],
) -> tuple[NDArray[Number], NDArray[np.bool_]]:
    """Merge the patches of each group into one object: O = Σ_k T_kᴴ(w O_k) / Σ_k T_kᴴ w.

    Parameters
    ----------
    patches, offsets, weights, padded_shape
        As in `accumulate_groups`.

    Returns
    -------
    merged
        (B, H, W, 1), 0 where undefined. Groups never mix: each comes out as it would alone.
    support
        (B, H, W, 1) bool, True where the denominator is at least 1e-6 of its maximum in the group.

    Raises
    ------
    ShapeError
        If shapes do not fit, or a patch leaves its canvas.
    """
    return divide_on_support(*accumulate_groups(patches, offsets, weights, padded_shape))


def accumulate_canvas(
    patches: NDArray[Number],
    positions: NDArray[np.float64],
    weights: NDArray[np.floating],
    origin: NDArray[np.float64],
    canvas_shape: tuple[int, int],
) -> tuple[NDArray[Number], NDArray[np.floating]]:
    """Return Σ_j T_jᴴ(w O_j) and Σ_j T_jᴴ w on the one canvas of all groups, each (H, W): what stitching divides.

    Parameters
    ----------
    patches
        (B, h, w, C) float or complex.
    positions
        (B, C, 2) float64, (y, x) canvas coordinate of sample (h//2, w//2) of each patch.
    weights
        (h, w) ≥ 0.
    origin
        (2,) float64, canvas coordinate (y, x) of element [0, 0].
    canvas_shape
        (H, W).

    Raises
    ------
    ShapeError
        If shapes do not fit, or a patch leaves the canvas.
    """
    check_groups(patches.shape, positions.shape, weights.shape)
    b, h, w, c = patches.shape
    joined = np.moveaxis(patches, 0, 2).reshape(1, h, w, b * c)  # one group of all
    offsets = (positions - origin - np.array(canvas_shape) // 2).reshape(1, b * c, 2)
    numerator, denominator = accumulate_groups(joined, offsets, weights, canvas_shape)
    return numerator[0, ..., 0], denominator[0, ..., 0]


def divide_on_support(
    numerator: NDArray[Number], denominator: NDArray[np.floating]
) -> tuple[NDArray[Number], NDArray[np.bool_]]:
    """Return numerator / denominator, (B, H, W, 1) or (H, W), 0 off the support, and the support; no additive ε."""
    largest = denominator.max(axis=(-3, -2) if denominator.ndim == 4 else None, keepdims=True)
    support = (denominator >= SUPPORT_LIMIT * largest) & (denominator > 0)
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=support), support


def _points(
    offsets: NDArray[np.float64], frame_shape: tuple[int, int], canvas_shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Return (B·C, 2): the index of each patch's sample (0, 0) on its canvas."""
    points = offsets + (np.array(canvas_shape) // 2 - np.array(frame_shape) // 2)
    check_inside(points, frame_shape, canvas_shape)
    flat: NDArray[np.float64] = points.reshape(-1, 2)
    return flat
