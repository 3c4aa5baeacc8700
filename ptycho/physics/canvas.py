"""The canvas: the rectangle of object pixels that a set of positions can see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptycho.errors import ShapeError

__all__ = ["LARGEST_CANVAS", "Canvas", "make_canvas", "split_positions"]


LARGEST_CANVAS = 2**31  # pixels: 16 GiB of complex64


@dataclass(frozen=True, eq=False)
class Canvas:
    """A rectangle of object pixels; array index = canvas coordinate − origin.

    Attributes
    ----------
    shape
        (H, W) in pixels.
    origin
        (2,) float64, canvas coordinate (y, x) of the array's element [0, 0].
    """

    shape: tuple[int, int]
    origin: NDArray[np.float64]

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.origin.shape != (2,):
            raise ShapeError(
                f"canvas: expected a positive shape and origin (2,), found {self.shape}, {self.origin.shape}"
            )


def make_canvas(positions: NDArray[np.float64], frame_shape: tuple[int, int], margin: int = 1) -> Canvas:
    """Return the smallest canvas that holds every patch, with `margin` pixels to spare on each side.

    Parameters
    ----------
    positions
        (n, 2) float64, (y, x) in pixels of patch sample (h//2, w//2).
    frame_shape
        (h, w) of a patch.
    margin
        Pixels added on each side; 0 still holds every patch after rounding to whole pixels.

    Returns
    -------
    Canvas
        With an integer-valued origin.

    Raises
    ------
    ShapeError
        If the positions are not (n, 2), n > 0, not finite, or so far apart that they cannot be in pixels.
    """
    if positions.ndim != 2 or positions.shape[1] != 2 or len(positions) == 0:
        raise ShapeError(f"positions: expected (n, 2), n > 0, found {positions.shape}")
    if not np.isfinite(positions).all():
        raise ShapeError(f"positions: expected finite values, found NaN or infinity in {positions.shape}")
    centre = np.array(frame_shape) // 2
    lowest = np.floor(positions.min(axis=0) + 0.5) - centre - margin
    highest = np.floor(positions.max(axis=0) + 0.5) - centre + np.array(frame_shape) + margin
    if np.prod(highest - lowest) > LARGEST_CANVAS:
        raise ShapeError(
            f"positions: expected pixels of the object, found a spread of {np.ptp(positions, axis=0)} that takes a "
            f"canvas of more than {LARGEST_CANVAS:.0e} pixels; are they in another unit?"
        )
    height, width = (highest - lowest).astype(int)
    return Canvas((int(height), int(width)), lowest.astype(np.float64))


def split_positions(
    positions: NDArray[np.float64], origin: NDArray[np.float64], frame_shape: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Split positions into whole-pixel patch corners and sub-pixel remainders.

    Returns
    -------
    corners
        (n, 2) int, array index of patch sample (0, 0).
    remainders
        (n, 2) float64 in [−½, ½): position − origin = corner + (h//2, w//2) + remainder.
    """
    index = positions - origin
    whole = np.floor(index + 0.5)
    corners = whole.astype(np.intp) - np.array(frame_shape) // 2
    return corners, index - whole
