"""What a network is shown of a group: its normalised amplitudes, and the patches of a known object."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.data.groups import Groups
from ptycho.data.normalisation import Normalisation
from ptycho.data.rows import Rows
from ptycho.errors import ShapeError
from ptycho.physics.interpolation import sample_windows
from ptycho.physics.shapes import check_inside

__all__ = ["amplitude_rows", "cut_patches", "truth_rows"]


def amplitude_rows(
    frames: NDArray[np.generic], mask: NDArray[np.bool_], groups: Groups, normalisation: Normalisation
) -> Rows:
    """Return the normalised amplitudes s √k of groups: rows (B, h, w, C) float32, 0 where the mask is False.

    Parameters
    ----------
    frames
        (n, h, w) intensities of any real dtype, in memory or mapped; never copied as a whole.
    mask
        (h, w) bool, True where the detector can be believed.
    groups
        Whose members index the frames.
    normalisation
        Fitted on the training split.

    Raises
    ------
    ShapeError
        If the frames are not of the shape the normalisation was fitted to, or fewer than the groups need.
    """
    if frames.shape[1:] != normalisation.frame_shape or len(groups.positions) != len(frames):
        raise ShapeError(
            f"frames: expected {(len(groups.positions), *normalisation.frame_shape)} for these groups and this "
            f"normalisation, found {frames.shape}"
        )
    factor = np.where(mask, normalisation.scale, 0.0)

    def compute(index: NDArray[np.int64]) -> NDArray[np.float32]:
        chosen = np.sqrt(frames[groups.members[index]], dtype=np.float64) * factor
        return np.ascontiguousarray(np.moveaxis(chosen, 1, -1), np.float32)

    return _make_rows(groups, compute, normalisation.frame_shape, np.float32)


def truth_rows(
    obj: NDArray[np.complexfloating], origin: NDArray[np.float64], groups: Groups, frame_shape: tuple[int, int]
) -> Rows:
    """Return the patches of a known object that groups see: rows (B, h, w, C) complex64; as `cut_patches`."""

    def compute(index: NDArray[np.int64]) -> NDArray[np.complex64]:
        members = groups.members[index]
        patches = cut_patches(obj, origin, groups.positions[members.ravel()], frame_shape)
        patches = patches.reshape(*members.shape, *frame_shape)
        return np.ascontiguousarray(np.moveaxis(patches, 1, -1), np.complex64)

    return _make_rows(groups, compute, frame_shape, np.complex64)


def cut_patches(
    obj: NDArray[np.complexfloating],
    origin: NDArray[np.float64],
    positions: NDArray[np.float64],
    frame_shape: tuple[int, int],
) -> NDArray[np.complexfloating]:
    """Cut patches (n, h, w) out of an object, bilinear between its pixels.

    Sample s of patch j is O(r_j + s − (h//2, w//2)); nothing is mirrored.

    Parameters
    ----------
    obj
        (H, W) complex.
    origin
        (2,) float64, canvas coordinate (y, x) of ``obj[0, 0]``.
    positions
        (n, 2) float64, canvas coordinates (y, x) of patch sample (h//2, w//2).
    frame_shape
        (h, w).

    Raises
    ------
    ShapeError
        If a patch leaves the object.
    """
    points = positions - origin - np.array(frame_shape) // 2
    check_inside(points, frame_shape, (obj.shape[0], obj.shape[1]))
    return sample_windows(obj[None], np.zeros(len(points), np.intp), points, frame_shape)


def _make_rows(groups: Groups, compute: Any, frame_shape: tuple[int, int], dtype: type[np.generic]) -> Rows:  # noqa: ANN401 -- a closure
    """Return rows for all groups."""
    tail = (*frame_shape, groups.members.shape[1])
    return Rows(np.arange(len(groups)), compute, tail, np.dtype(dtype))
