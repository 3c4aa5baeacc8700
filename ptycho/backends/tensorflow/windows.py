"""Windows of canvases in TensorFlow: cut out, added back, at whole pixels and between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from ptycho.physics.shapes import check_inside

__all__ = [
    "Views",
    "add_blocks",
    "as_tensor",
    "check_inside_if_known",
    "cut_blocks",
    "float64",
    "known_shape",
    "sample_windows",
    "spread_windows",
]


def as_tensor(values: ArrayLike, dtype: tf.DType) -> tf.Tensor:
    """Return numbers of Python, numpy or TensorFlow as a tensor of a dtype, never by way of a narrower one."""
    if isinstance(values, bool | int | float | complex | list | tuple | np.ndarray | np.generic):
        values = np.asarray(values).astype(dtype.as_numpy_dtype)
    return tf.cast(values, dtype)


def float64(values: ArrayLike) -> tf.Tensor:
    """Return numbers as a float64 tensor."""
    return as_tensor(values, tf.float64)


def known_shape(tensor: tf.Tensor) -> list[Any]:
    """Return each length of a tensor: an int where a graph knows it, else a scalar tensor."""
    dynamic = tf.shape(tensor)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(tensor.shape)]


def check_inside_if_known(points: tf.Tensor, window_shape: tuple[int, int], canvas_shape: tuple[int, int]) -> None:
    """Raise ShapeError if a window leaves its canvas; a graph being traced has no values to look at."""
    if tf.executing_eagerly():
        check_inside(points.numpy(), window_shape, canvas_shape)


def sample_windows(
    canvases: tf.Tensor, owners: tf.Tensor, points: tf.Tensor, window_shape: tuple[int, int]
) -> tf.Tensor:
    """Port of `ptycho.physics.interpolation.sample_windows`."""
    h, w = window_shape
    corners = tf.floor(points)
    f_y, f_x = _fractions(points - corners, canvases.dtype)
    blocks = cut_blocks(canvases, owners, corners, (h + 1, w + 1))
    rows = (1 - f_y) * blocks[:, :-1] + f_y * blocks[:, 1:]
    return (1 - f_x) * rows[:, :, :-1] + f_x * rows[:, :, 1:]


def spread_windows(
    windows: tf.Tensor, owners: tf.Tensor, points: tf.Tensor, stack_shape: tuple[Any, int, int]
) -> tf.Tensor:
    """Port of `ptycho.physics.interpolation.spread_windows`."""
    corners = tf.floor(points)
    f_y, f_x = _fractions(points - corners, windows.dtype)
    none, before, after = [0, 0], [1, 0], [0, 1]
    rows = tf.pad((1 - f_x) * windows, [none, none, after]) + tf.pad(f_x * windows, [none, none, before])
    blocks = tf.pad((1 - f_y) * rows, [none, after, none]) + tf.pad(f_y * rows, [none, before, none])
    return add_blocks(blocks, owners, corners, stack_shape)


def cut_blocks(canvases: tf.Tensor, owners: tf.Tensor, corners: tf.Tensor, block_shape: tuple[int, int]) -> tf.Tensor:
    """Return blocks (n, h, w) of canvases (b, H, W) whose sample (0, 0) lies at `corners` (n, 2), 0 outside."""
    _, height, width = known_shape(canvases)
    index, inside = _address(owners, corners, block_shape, (height, width))
    blocks = tf.gather(tf.reshape(canvases, [-1]), index)
    return tf.where(inside, blocks, tf.zeros_like(blocks))


def add_blocks(
    blocks: tf.Tensor, owners: tf.Tensor, corners: tf.Tensor, stack_shape: tuple[Any, int, int]
) -> tf.Tensor:
    """Add blocks (n, h, w) into empty canvases (b, H, W): the adjoint of `cut_blocks`."""
    _, h, w = known_shape(blocks)
    index, inside = _address(owners, corners, (h, w), stack_shape[1:])
    inner = tf.where(inside, blocks, tf.zeros_like(blocks))
    pixels = stack_shape[0] * stack_shape[1] * stack_shape[2]
    flat = tf.math.unsorted_segment_sum(tf.reshape(inner, [-1]), tf.reshape(index, [-1]), pixels)
    return tf.reshape(flat, stack_shape)


class Views:
    """Where the frames of groups lie on their canvases, at whole pixels: found once, used in every step.

    Parameters
    ----------
    whole
        (B, C, 2) float64 without fraction, offsets from the middle of each canvas.
    frame_shape, canvas_shape
        (h, w) and (H, W).
    """

    def __init__(self, whole: tf.Tensor, frame_shape: tuple[int, int], canvas_shape: tuple[int, int]) -> None:
        b, c, _ = known_shape(whole)
        start = [canvas // 2 - frame // 2 for canvas, frame in zip(canvas_shape, frame_shape, strict=True)]
        points = tf.reshape(whole + tf.constant(start, tf.float64), [-1, 2])
        check_inside_if_known(points, frame_shape, canvas_shape)
        index, inside = _address(tf.repeat(tf.range(b), c), points, frame_shape, canvas_shape)
        self._patches, self._canvases = [-1, c, *frame_shape], [-1, *canvas_shape, 1]
        self._index, self._pixels = tf.reshape(index, [-1]), b * canvas_shape[0] * canvas_shape[1]
        self._inside = None if tf.executing_eagerly() else tf.reshape(inside, [-1, c, 1, *frame_shape])

    def cut(self, canvases: tf.Tensor) -> tf.Tensor:
        """Return the patches (B, C, h, w) of canvases (B, H, W, 1)."""
        return tf.reshape(tf.gather(tf.reshape(canvases, [-1]), self._index), self._patches)

    def spread(self, patches: tf.Tensor) -> tf.Tensor:
        """Add patches (B, C, h, w) into empty canvases (B, H, W, 1): the adjoint of `cut`."""
        flat = tf.reshape(patches, [-1])
        return tf.reshape(tf.math.unsorted_segment_sum(flat, self._index, self._pixels), self._canvases)

    def keep(self, waves: tf.Tensor) -> tf.Tensor:
        """Return waves (B, C, m, h, w), 0 outside their canvas: a graph being traced has not looked for such."""
        return waves if self._inside is None else waves * tf.cast(self._inside, waves.dtype)


def _fractions(fractions: tf.Tensor, dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
    """Return f_y and f_x, each (n, 1, 1), of a dtype."""
    precise = tf.cast(fractions, dtype)
    return precise[:, 0, None, None], precise[:, 1, None, None]


def _address(
    owners: tf.Tensor, corners: tf.Tensor, block_shape: tuple[Any, Any], canvas_shape: tuple[Any, Any]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return flat indices (n, h, w) into the stack of canvases, and whether each lies on its own canvas."""
    lines, within = [], []
    for axis in (0, 1):
        line = tf.cast(corners, tf.int64)[:, axis, None] + tf.range(block_shape[axis], dtype=tf.int64)
        limit = tf.cast(canvas_shape[axis], tf.int64)
        within.append((line >= 0) & (line < limit))
        lines.append(tf.clip_by_value(line, tf.zeros_like(limit), limit - 1))
    height, width = (tf.cast(size, tf.int64) for size in canvas_shape)
    rows = (tf.cast(owners, tf.int64)[:, None] * height + lines[0]) * width
    return rows[:, :, None] + lines[1][:, None, :], within[0][:, :, None] & within[1][:, None, :]
