"""Stitching: object patches of many groups become one object, slab by slab, in the frame of the positions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.backends import load
from ptycho.checks import check_whole, parse_choice
from ptycho.errors import ShapeError
from ptycho.physics import Canvas, make_canvas
from ptycho.physics.groups import divide_on_support
from ptycho.physics.propagation import sum_modes
from ptycho.physics.shapes import check_axes, check_groups, check_inside

__all__ = ["Stitched", "Stitcher", "Weighting", "make_weights", "stitch_groups"]


class Weighting(StrEnum):
    """How much each pixel of a patch counts in a merge."""

    PROBE = "probe"  # Σ_m|P_m|²: as much as it was lit
    FULL = "full"  # every pixel the same
    CENTRE = "centre"  # the middle half of each axis, nothing else


@dataclass(frozen=True, eq=False)
class Stitched:
    """One object out of many patches.

    Attributes
    ----------
    object
        (H, W), of the patches' dtype, 0 where undefined.
    support
        (H, W) bool, True where patches define the object.
    canvas
        Where it lies: element [0, 0] is canvas coordinate `canvas.origin`, so that a truth on the same frame of
        reference is compared without registration.
    """

    object: NDArray[Any]
    support: NDArray[np.bool_]
    canvas: Canvas


class Stitcher:
    """Sums weighted patches on a canvas; memory is the canvas and one slab, whatever the number of patches.

    O = Σ_j T_jᴴ(w O_j) / Σ_j T_jᴴ w where the denominator is at least 1e-6 of its maximum.

    Parameters
    ----------
    canvas
        Where the object lies, as a rule `make_canvas` of all positions.
    weights
        (h, w) ≥ 0, see `make_weights`.
    backend
        Whose operators do the work; results are numpy's.

    Raises
    ------
    ShapeError
        If the weights are not (h, w), finite, ≥ 0 and somewhere above 0.
    """

    def __init__(self, canvas: Canvas, weights: NDArray[np.floating], *, backend: str = "numpy") -> None:
        check_axes("weights", weights.shape, "(h, w)")
        if not (weights.min(initial=0) >= 0 and 0 < weights.max(initial=0) < np.inf):  # also false when there is a NaN
            raise ShapeError(
                f"weights: expected finite values >= 0, some of them above, found {weights.min(initial=0)} to "
                f"{weights.max(initial=0)} in {weights.shape}"
            )
        self._canvas = canvas
        self._weights = weights
        self._backend = load(backend)
        self._numerator: NDArray[Any] | None = None
        self._denominator: NDArray[Any] | None = None

    def add(self, patches: NDArray[Any], positions: NDArray[np.float64]) -> None:
        """Add one slab of groups.

        Parameters
        ----------
        patches
            (B, h, w, C) float or complex, an array of numpy or of the backend.
        positions
            (B, C, 2) float64, (y, x) canvas coordinate of sample (h//2, w//2) of each patch.

        Raises
        ------
        ShapeError
            If shapes do not fit, or a patch leaves the canvas.
        """
        check_groups(patches.shape, positions.shape, self._weights.shape)
        if patches.shape[0] == 0:
            return
        b, h, w, c = patches.shape
        points = (positions - self._canvas.origin - (h // 2, w // 2)).reshape(b * c, 2)
        check_inside(points, (h, w), self._canvas.shape)
        # Only the rectangle that this slab sees is touched.
        first = np.maximum(np.floor(points.min(axis=0)), 0).astype(int)
        last = np.minimum(np.ceil(points.max(axis=0)).astype(int) + np.array((h, w)), self._canvas.shape)
        native = self._backend.asarray(patches) if isinstance(patches, np.ndarray) else patches
        origin, shape = self._canvas.origin + first, (int(last[0] - first[0]), int(last[1] - first[1]))
        sums = self._backend.operators.accumulate_canvas(native, positions, self._weights, origin, shape)
        numerator, denominator = (self._backend.to_numpy(part) for part in sums)
        if self._numerator is None or self._denominator is None:
            self._numerator = np.zeros(self._canvas.shape, numerator.dtype)
            self._denominator = np.zeros(self._canvas.shape, denominator.dtype)
        seen = slice(first[0], last[0]), slice(first[1], last[1])
        self._numerator[seen] += numerator
        self._denominator[seen] += denominator

    def result(self) -> Stitched:
        """Return the object as far as patches were added.

        Raises
        ------
        ShapeError
            If none were.
        """
        if self._numerator is None or self._denominator is None:
            raise ShapeError("stitching: expected at least one group of patches, found none; add some first")
        merged, support = divide_on_support(self._numerator, self._denominator)
        return Stitched(merged, support, self._canvas)


def stitch_groups(
    patches: NDArray[Any],
    positions: NDArray[np.float64],
    weights: NDArray[np.floating],
    *,
    canvas: Canvas | None = None,
    slab: int = 64,
    backend: str = "numpy",
) -> Stitched:
    """Stitch the patches of all groups into one object.

    Parameters
    ----------
    patches
        (B, h, w, C) float or complex: an array of numpy or of the backend, or anything that slices into one,
        a memory map say.
    positions
        (B, C, 2) float64, (y, x) canvas coordinate of sample (h//2, w//2) of each patch.
    weights
        (h, w) ≥ 0, see `make_weights`.
    canvas
        Where the object lies; by default the rectangle that holds every patch.
    slab
        Groups handled at a time; the result does not depend on it but for rounding.
    backend
        "numpy", "torch" or "tensorflow".

    Raises
    ------
    ShapeError
        If shapes do not fit, weights are wrong, or a patch leaves the canvas.
    ConfigError
        If the slab is smaller than one group.
    """
    check_groups(patches.shape, positions.shape, weights.shape)
    slab = check_whole("slab", slab)
    if canvas is None:
        canvas = make_canvas(positions.reshape(-1, 2), (patches.shape[1], patches.shape[2]))
    stitcher = Stitcher(canvas, weights, backend=backend)
    for start in range(0, len(positions), slab):
        stitcher.add(patches[start : start + slab], positions[start : start + slab])
    return stitcher.result()


def make_weights(kind: str, frame_shape: tuple[int, int], probe: NDArray[Any] | None = None) -> NDArray[np.floating]:
    """Return the weights (h, w) of a merge.

    Parameters
    ----------
    kind
        "probe", "full" or "centre".
    frame_shape
        (h, w) of a patch.
    probe
        (m, h, w) complex, needed for "probe".

    Raises
    ------
    ShapeError
        If the probe is missing or of another shape.
    ConfigError
        If `kind` is none of the three.
    """
    h, w = frame_shape
    match parse_choice("weights", kind, Weighting):
        case Weighting.FULL:
            return np.ones(frame_shape)
        case Weighting.CENTRE:
            weights = np.zeros(frame_shape)
            weights[h // 4 : h // 4 + (h + 1) // 2, w // 4 : w // 4 + (w + 1) // 2] = 1
            return weights
    if probe is None or probe.shape[1:] != frame_shape:
        found = None if probe is None else probe.shape
        raise ShapeError(f"probe: expected modes (m, {h}, {w}) to weigh patches by, found {found}")
    return sum_modes(probe)
