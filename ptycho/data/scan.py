"""The record of a data set: what was measured, where, and how much of that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptycho.checks import parse_choice
from ptycho.data.rows import slabs
from ptycho.errors import ShapeError

__all__ = ["DataKind", "Scan", "check_axis_order", "check_lit", "index_frames"]


class DataKind(StrEnum):
    """What the numbers of the source file were; a `Scan` holds intensities in every case."""

    COUNTS = "counts"  # photons: the Poisson likelihood applies
    INTENSITY = "intensity"  # arbitrary units
    AMPLITUDE = "amplitude"  # squared on reading


@dataclass(frozen=True, eq=False)
class Scan:
    """One ptychographic data set in this library's frame of reference.

    A position r is the canvas coordinate, pixel centres at integers, of patch sample (h//2, w//2):
    patch sample s sees canvas r + s − (h//2, w//2). Axis 0 is y.

    Attributes
    ----------
    name
        What to call it in tables and titles.
    diffraction
        (n, h, w) float32, intensities, detector origin (DC) at (h//2, w//2); photons for `DataKind.COUNTS`.
    probe_positions
        (n, 2) float64, (y, x) in pixels; the origin is free.
    probe
        (m, h, w) complex64, the initial guess of the m modes.
    mask
        (h, w) bool, True where the detector can be believed.
    kind
        What the source declared its numbers to be.
    object_truth
        (H, W) complex64 where the object is known, else None.
    truth_origin
        (2,) float64, the canvas coordinate of ``object_truth[0, 0]``.
    positions_truth
        (n, 2) float64, where the file gives positions that are better than the measured ones, else None.
    pixel_size_m
        Size of an object pixel, None when the file does not say.
    provenance
        Conventions found (with the numbers that decided) or assumed, source and SHA-256; JSON values only.

    Raises
    ------
    ShapeError
        If arrays do not fit each other or hold NaN, diffraction holds negative values, or no pixel is valid.
    ConfigError
        If there is no such kind.
    """

    name: str
    diffraction: NDArray[np.float32]
    probe_positions: NDArray[np.float64]
    probe: NDArray[np.complex64]
    mask: NDArray[np.bool_]
    kind: DataKind = DataKind.COUNTS
    object_truth: NDArray[np.complex64] | None = None
    truth_origin: NDArray[np.float64] | None = None
    positions_truth: NDArray[np.float64] | None = None
    pixel_size_m: float | None = None
    provenance: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", parse_choice("kind", self.kind, DataKind))
        self._check_arrays()
        if not self.diffraction.min() >= 0:  # also false when there is a NaN
            raise ShapeError(
                f"diffraction: expected finite values >= 0, found NaN or negative ones in {self.diffraction.shape}"
            )
        for name in ("diffraction", "probe_positions", "probe", "object_truth", "truth_origin", "positions_truth"):
            array = getattr(self, name)
            if array is not None and not np.isfinite(array).all():
                raise ShapeError(f"{name}: expected finite values, found NaN or infinity in {array.shape}")
        if not self.mask.any():
            raise ShapeError(f"mask: expected a pixel to be believed, found none in {self.mask.shape}")
        if self.pixel_size_m is not None and not 0 < self.pixel_size_m < np.inf:
            raise ShapeError(f"pixel_size_m: expected metres > 0, found {self.pixel_size_m}")

    def _check_arrays(self) -> None:
        """Raise unless the arrays have the dtypes and axes of the record, and fit each other."""
        for name, dtype, ndim in (
            ("diffraction", np.float32, 3),
            ("probe_positions", np.float64, 2),
            ("probe", np.complex64, 3),
            ("mask", np.bool_, 2),
            ("object_truth", np.complex64, 2),
            ("truth_origin", np.float64, 1),
            ("positions_truth", np.float64, 2),
        ):
            if getattr(self, name) is not None:
                _check_array(name, getattr(self, name), dtype, ndim)
        for name, shape in (("diffraction", "(n, h, w)"), ("probe", "(m, h, w)"), ("object_truth", "(H, W)")):
            if getattr(self, name) is not None and 0 in getattr(self, name).shape:
                raise ShapeError(f"{name}: expected {shape}, found {getattr(self, name).shape}; no length 0")
        n, h, w = self.diffraction.shape
        check_axis_order("diffraction", (n, h, w), (len(self.probe_positions), *self.probe.shape[1:]))
        for name, found, expected in (
            ("probe_positions", self.probe_positions.shape, (n, 2)),
            ("positions_truth", (n, 2) if self.positions_truth is None else self.positions_truth.shape, (n, 2)),
            ("probe", self.probe.shape[1:], (h, w)),
            ("mask", self.mask.shape, (h, w)),
        ):
            if found != expected:
                raise ShapeError(
                    f"{name}: expected {expected} for diffraction {(n, h, w)}, found {found}; "
                    "frames, positions and probe must come from one scan, frames first"
                )
        if (self.object_truth is None) != (self.truth_origin is None):
            raise ShapeError("object_truth and truth_origin: expected both or neither")
        if self.truth_origin is not None and self.truth_origin.shape != (2,):
            raise ShapeError(f"truth_origin: expected (2,), found {self.truth_origin.shape}")

    @property
    def n_frames(self) -> int:
        """Number of exposures."""
        return len(self.diffraction)

    @property
    def frame_shape(self) -> tuple[int, int]:
        """(h, w) of a frame in pixels."""
        return self.diffraction.shape[1], self.diffraction.shape[2]

    @property
    def photons_per_frame(self) -> float | None:
        """The dose: mean counts of a frame over valid pixels, None when the data are not counts."""
        if self.kind is not DataKind.COUNTS:
            return None
        return float(self.diffraction.sum(axis=0, dtype=np.float64)[self.mask].sum() / self.n_frames)

    def select(self, frames: ArrayLike) -> Scan:
        """Return the scan of a choice of frames as `index_frames` takes it, in that order."""
        chosen = self.index_frames(frames)
        truth = self.positions_truth
        return replace(
            self,
            diffraction=self.diffraction[chosen],
            probe_positions=self.probe_positions[chosen],
            positions_truth=None if truth is None else truth[chosen],
        )

    def index_frames(self, frames: ArrayLike | None = None) -> NDArray[np.int64]:
        """Return the indices (k,) that a choice of frames names, as `index_frames` of this module does."""
        return index_frames(self.n_frames, frames)

    def at_true_positions(self) -> Scan:
        """Return the scan with `positions_truth` in the place of its positions; name and provenance say so.

        Raises
        ------
        ShapeError
            If it has none.
        """
        if self.positions_truth is None:
            raise ShapeError(f"{self.name}: positions_truth: expected (n, 2), found none; the file gives one set only")
        provenance = {**self.provenance, "positions": "positions_truth, as the file gives them"}
        return replace(self, name=f"{self.name}-true", probe_positions=self.positions_truth, provenance=provenance)


def index_frames(n_frames: int, frames: ArrayLike | None = None) -> NDArray[np.int64]:
    """Return the indices (k,) that a choice among `n_frames` names, in its order; all without a choice.

    Parameters
    ----------
    n_frames
        How many there are.
    frames
        Indices, each once, or a mask (n,) bool.

    Raises
    ------
    ShapeError
        If it is neither, or names no frame.
    """
    everything = np.arange(n_frames)
    chosen = everything if frames is None else np.asarray(frames)
    if chosen.dtype == np.bool_ and chosen.shape == everything.shape:
        chosen = everything[chosen]
    known = chosen.ndim == 1 and chosen.size > 0 and chosen.dtype.kind in "iu" and np.isin(chosen, everything).all()
    if not known or np.unique(chosen).size < chosen.size:
        raise ShapeError(
            f"frames: expected indices from 0 to {n_frames - 1}, each once, or a mask ({n_frames},) that "
            f"leaves some, found {chosen.shape} of {chosen.dtype}: {np.array2string(chosen, threshold=6)}"
        )
    return chosen.astype(np.int64)


def _check_array(name: str, array: NDArray[np.generic], dtype: type[np.generic], ndim: int) -> None:
    """Raise unless `array` has the dtype and the number of axes of the record."""
    if array.dtype != dtype or array.ndim != ndim:
        raise ShapeError(
            f"{name}: expected {ndim} axes of {np.dtype(dtype).name}, found {array.shape} of {array.dtype}"
        )


def check_axis_order(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Raise if frames (n, h, w) have their axes in another order; other lengths are not looked at here.

    Raises
    ------
    ShapeError
        With the shape found and the shape expected.
    """
    if found[:1] != expected[:1] and sorted(found) == sorted(expected):
        raise ShapeError(
            f"{name}: expected {expected} by its positions and its probe, found {found}: the axes are in another "
            "order; frames first, then rows, then columns"
        )


def check_lit(name: str, array: NDArray[np.generic]) -> None:
    """Raise if frames or modes hold nothing but zeros; they are read until there is another number.

    Raises
    ------
    ShapeError
        With the name and the shape.
    """
    if not any(np.asarray(array[slab]).any() for slab in slabs(array.shape)):
        raise ShapeError(f"{name}: expected light, found only zeros in {array.shape}")
