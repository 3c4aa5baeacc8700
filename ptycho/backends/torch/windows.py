"""Windows of canvases in PyTorch: cut out, added back, at whole pixels and between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.nn.functional import pad

from ptycho.physics.shapes import check_inside

__all__ = [
    "Views",
    "add_blocks",
    "as_tensor",
    "check_inside_if_known",
    "cut_blocks",
    "float64",
    "sample_windows",
    "settle",
    "spread_windows",
]


def settle(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array with strides and a byte order that torch takes; a graph being compiled cannot look at them."""
    return array if torch.compiler.is_compiling() else np.asarray(array, array.dtype.newbyteorder("="), order="C")


def as_tensor(values: ArrayLike, like: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Return numbers of Python, numpy or torch on the device of a tensor; any strides and byte order will do."""
    settled = settle(values) if isinstance(values, np.ndarray) else values
    return torch.as_tensor(settled, dtype=dtype, device=like.device)


def float64(values: ArrayLike, like: torch.Tensor) -> torch.Tensor:
    """Return numbers as a float64 tensor on the device of another."""
    return as_tensor(values, like, torch.float64)


def check_inside_if_known(points: torch.Tensor, window_shape: tuple[int, int], canvas_shape: tuple[int, int]) -> None:
    """Raise ShapeError if a window leaves its canvas; a graph being compiled has no values to look at."""
    if not torch.compiler.is_compiling():
        check_inside(points.detach().cpu().numpy(), window_shape, canvas_shape)


def sample_windows(
    canvases: torch.Tensor, owners: torch.Tensor, points: torch.Tensor, window_shape: tuple[int, int]
) -> torch.Tensor:
    """Port of `ptycho.physics.interpolation.sample_windows`."""
    h, w = window_shape
    corners = torch.floor(points)
    f_y, f_x = _fractions(points - corners, canvases)
    blocks = cut_blocks(canvases, owners, corners.long(), (h + 1, w + 1))
    rows = (1 - f_y) * blocks[:, :-1] + f_y * blocks[:, 1:]
    return (1 - f_x) * rows[:, :, :-1] + f_x * rows[:, :, 1:]


def spread_windows(
    windows: torch.Tensor, owners: torch.Tensor, points: torch.Tensor, stack_shape: tuple[int, int, int]
) -> torch.Tensor:
    """Port of `ptycho.physics.interpolation.spread_windows`."""
    corners = torch.floor(points)
    f_y, f_x = _fractions(points - corners, windows)
    rows = pad((1 - f_x) * windows, (0, 1)) + pad(f_x * windows, (1, 0))
    blocks = pad((1 - f_y) * rows, (0, 0, 0, 1)) + pad(f_y * rows, (0, 0, 1, 0))
    return add_blocks(blocks, owners, corners.long(), stack_shape)


def cut_blocks(
    canvases: torch.Tensor, owners: torch.Tensor, corners: torch.Tensor, block_shape: tuple[int, int]
) -> torch.Tensor:
    """Return blocks (n, h, w) of canvases (b, H, W) whose sample (0, 0) lies at `corners` (n, 2) int, 0 outside."""
    index, inside = _address(owners, corners, block_shape, (canvases.shape[1], canvases.shape[2]))
    blocks = canvases.reshape(-1).index_select(0, index.reshape(-1)).reshape(index.shape)
    return torch.where(inside, blocks, torch.zeros_like(blocks))


def add_blocks(
    blocks: torch.Tensor, owners: torch.Tensor, corners: torch.Tensor, stack_shape: tuple[int, int, int]
) -> torch.Tensor:
    """Add blocks (n, h, w) into empty canvases (b, H, W): the adjoint of `cut_blocks`."""
    index, inside = _address(owners, corners, (blocks.shape[1], blocks.shape[2]), stack_shape[1:])
    flat = blocks.new_zeros(stack_shape[0] * stack_shape[1] * stack_shape[2])
    inner = torch.where(inside, blocks, torch.zeros_like(blocks))
    return flat.scatter_add(0, index.reshape(-1), inner.reshape(-1)).reshape(stack_shape)


class Views:
    """Where the frames of groups lie on their canvases, at whole pixels: found once, used in every step.

    Parameters
    ----------
    whole
        (B, C, 2) float64 without fraction, offsets from the middle of each canvas.
    frame_shape, canvas_shape
        (h, w) and (H, W).
    """

    def __init__(self, whole: torch.Tensor, frame_shape: tuple[int, ...], canvas_shape: tuple[int, ...]) -> None:
        b, c = whole.shape[:2]
        (h, w), (height, width) = frame_shape, canvas_shape
        points = (whole + whole.new_tensor([height // 2 - h // 2, width // 2 - w // 2])).reshape(-1, 2)
        check_inside_if_known(points, (h, w), (height, width))
        owners = torch.arange(b, device=whole.device).repeat_interleave(c)
        index, inside = _address(owners, points.long(), (h, w), (height, width))
        self._index, self._patches, self._canvases = index.reshape(-1), (b, c, h, w), (b, height, width, 1)
        self._inside = inside.reshape(b, c, 1, h, w) if torch.compiler.is_compiling() else None

    def cut(self, canvases: torch.Tensor) -> torch.Tensor:
        """Return the patches (B, C, h, w) of canvases (B, H, W, 1)."""
        return canvases.reshape(-1).index_select(0, self._index).reshape(self._patches)

    def spread(self, patches: torch.Tensor) -> torch.Tensor:
        """Add patches (B, C, h, w) into empty canvases (B, H, W, 1): the adjoint of `cut`."""
        b, height, width, _ = self._canvases
        flat = patches.new_zeros(b * height * width)
        return flat.index_add(0, self._index, patches.reshape(-1)).reshape(self._canvases)

    def keep(self, waves: torch.Tensor) -> torch.Tensor:
        """Return waves (B, C, m, h, w), 0 outside their canvas: a graph being compiled has not looked for such."""
        return waves if self._inside is None else torch.where(self._inside, waves, torch.zeros_like(waves))


def _fractions(fractions: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return f_y and f_x, each (n, 1, 1), in the precision of a tensor."""
    precise = fractions.to(like.real.dtype)
    return precise[:, 0, None, None], precise[:, 1, None, None]


def _address(
    owners: torch.Tensor, corners: torch.Tensor, block_shape: tuple[int, int], canvas_shape: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return flat indices (n, h, w) into the stack of canvases, and whether each lies on its own canvas."""
    lines, within = [], []
    for axis in (0, 1):
        line = corners[:, axis, None] + torch.arange(block_shape[axis], device=corners.device)
        within.append((line >= 0) & (line < canvas_shape[axis]))
        lines.append(line.clamp(0, canvas_shape[axis] - 1))
    rows = (owners[:, None] * canvas_shape[0] + lines[0]) * canvas_shape[1]
    return rows[:, :, None] + lines[1][:, None, :], within[0][:, :, None] & within[1][:, None, :]
