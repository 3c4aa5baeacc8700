"""What shapes belong together in an operator: one set of checks for every backend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ptycho.errors import ShapeError

__all__ = [
    "check_axes",
    "check_experiment",
    "check_frames",
    "check_groups",
    "check_inside",
    "check_patches",
    "check_shape",
    "check_shifts",
]

Shape = Sequence[int | None]  # None where a traced graph does not know the length

SLACK = 1e-6  # px: rounding of positions is no reason to refuse a patch at the border


def check_shape(name: str, found: Shape, expected: Shape, cure: str) -> None:
    """Raise unless `found` is `expected`; a length of None fits any.

    Raises
    ------
    ShapeError
        With both shapes and the cure.
    """
    fits = len(found) == len(expected) and all(
        None in pair or pair[0] == pair[1] for pair in zip(found, expected, strict=True)
    )
    if not fits:
        raise ShapeError(f"{name}: expected shape {tuple(expected)}, found {tuple(found)}; {cure}")


def check_axes(name: str, found: Shape, axes: str) -> None:
    """Raise unless an array has the axes that a text such as "(m, h, w)" lists.

    Raises
    ------
    ShapeError
        With the shape found and the axes expected.
    """
    if len(found) != axes.count(",") + 1:
        raise ShapeError(f"{name}: expected {axes.count(',') + 1} axes {axes}, found {tuple(found)}")


def check_experiment(obj: Shape, probe: Shape, positions: Shape) -> None:
    """Raise unless an object is (H, W), its modes are (m, h, w) and the positions (n, 2)."""
    check_axes("obj", obj, "(H, W)")
    check_axes("probe", probe, "(m, h, w)")
    check_axes("positions", positions, "(n, 2)")
    check_shape("positions", positions, (positions[0], 2), "one (y, x) for each frame")


def check_shifts(images: Shape, shifts: Shape) -> None:
    """Raise unless there is one shift (y, x) for each image (..., h, w)."""
    check_shape("shifts", shifts, (*images[:-2], 2), f"one (y, x) for each image of {tuple(images)}")


def check_groups(patches: Shape, offsets: Shape, weights: Shape | None = None) -> None:
    """Raise unless patches (B, h, w, C) have offsets (B, C, 2) and weights (h, w)."""
    check_axes("patches", patches, "(B, h, w, C)")
    check_shape("offsets", offsets, (patches[0], patches[3], 2), f"one (y, x) for each patch of {tuple(patches)}")
    if weights is not None:
        check_shape("weights", weights, patches[1:3], "one weight for each pixel of a patch")


def check_patches(patches: Shape, probe: Shape) -> None:
    """Raise unless patches (..., h, w) and modes (m, h, w) have one frame."""
    check_axes("probe", probe, "(m, h, w)")
    check_shape("probe", probe, (probe[0], *patches[-2:]), f"modes (m, h, w) like the patches {tuple(patches)}")


def check_frames(counts: Shape, model: Shape, mask: Shape | None) -> None:
    """Raise unless counts and model (..., h, w) agree and the mask is (h, w)."""
    check_shape("model", model, counts, "predict exactly the frames that were measured")
    if mask is not None:
        check_shape("mask", mask, counts[-2:], "one detector mask (h, w) serves all frames")


def check_inside(
    points: NDArray[np.floating] | NDArray[np.integer], window_shape: tuple[int, int], canvas_shape: tuple[int, int]
) -> None:
    """Raise unless windows whose sample (0, 0) lies at `points` (..., 2) stay on the canvas (H, W)."""
    room = np.array(canvas_shape) - np.array(window_shape)
    outside = ~((points >= -SLACK) & (points <= room + SLACK)).all(axis=-1)  # also true for NaN
    if outside.any():
        first = tuple(int(i) for i in np.argwhere(outside)[0])
        raise ShapeError(
            f"patch {first[0] if len(first) == 1 else first}: expected its corner between (0, 0) and "
            f"{tuple(int(r) for r in room)}, found {tuple(float(c) for c in points[first])}; "
            "make the canvas from these positions (make_canvas, padded_shape)"
        )
