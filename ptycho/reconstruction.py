"""The record of a reconstruction: object and probe, the frames behind them, and how they were found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.archive import (
    cast_array,
    load_arrays,
    parse_json_entry,
    parse_number_entry,
    render_json_entry,
    save_arrays,
)
from ptycho.errors import DataError, ShapeError

__all__ = ["RECONSTRUCTION_FILE", "ROOM_PX", "Reconstruction", "load_reconstruction", "save_reconstruction"]

RECONSTRUCTION_FILE = "reconstruction.npz"  # its name in a folder that holds one
ROOM_PX = 16  # along each axis: no refined position lies further from the one that the scan gives

ARRAY_FIELDS = {
    "object": (np.complex64, "(H, W)"),
    "probe": (np.complex64, "(m, h, w)"),
    "origin": (np.float64, "(2,)"),
    "probe_positions": (np.float64, "(n, 2)"),
    "frames": (np.int64, "(n,)"),
    "coverage": (np.float32, "(H, W)"),
}
SHAPES = {name: shape for name, (_, shape) in ARRAY_FIELDS.items()} | {"history": "(e,)", "seconds": "()"}


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What a solver returns.

    Attributes
    ----------
    object
        (H, W) complex64.
    probe
        (m, h, w) complex64.
    origin
        (2,) float64, canvas coordinate (y, x) of ``object[0, 0]``, in the frame of the scan's positions.
    probe_positions
        (n, 2) float64, positions of the frames used.
    frames
        (n,) int64, their indices in the scan.
    coverage
        (H, W) float32, Σ_j Σ_m |P_m|² at each object pixel.
    history
        Fourier error R on the frames used, one value an epoch, gathered while the epoch ran.
    seconds
        Wall time of the solver.
    options
        How it was called; JSON values only.

    Raises
    ------
    ShapeError
        If arrays do not fit each other, or hold NaN or infinity.
    """

    object: NDArray[np.complex64]
    probe: NDArray[np.complex64]
    origin: NDArray[np.float64]
    probe_positions: NDArray[np.float64]
    frames: NDArray[np.int64]
    coverage: NDArray[np.float32]
    history: tuple[float, ...] = ()
    seconds: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, axes in (("object", 2), ("probe", 3), ("frames", 1)):
            found = getattr(self, name).shape
            if len(found) != axes or 0 in found:
                raise ShapeError(f"{name}: expected {SHAPES[name]}, none of them 0, found {found}")
        for name, expected in (
            ("origin", (2,)),
            ("probe_positions", (self.frames.size, 2)),
            ("coverage", self.object.shape),
        ):
            if getattr(self, name).shape != expected:
                raise ShapeError(f"{name}: expected {expected}, found {getattr(self, name).shape}")
        for name in ARRAY_FIELDS:
            if not np.isfinite(getattr(self, name)).all():
                raise ShapeError(
                    f"{name}: expected finite values, found NaN or infinity in {getattr(self, name).shape}; "
                    "the reconstruction failed"
                )
        if self.frames.min() < 0:
            raise ShapeError(f"frames: expected indices of frames >= 0, found {self.frames.min()}")


def save_reconstruction(path: Path, reconstruction: Reconstruction) -> None:
    """Write a reconstruction to an .npz file."""
    arrays = {name: getattr(reconstruction, name) for name in ARRAY_FIELDS}
    arrays["history"] = np.array(reconstruction.history, np.float64)
    arrays["seconds"] = np.array(reconstruction.seconds, np.float64)
    arrays["options"] = render_json_entry(reconstruction.options)
    save_arrays(path, arrays)


def load_reconstruction(path: Path) -> Reconstruction:
    """Read what `save_reconstruction` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged or lacks a key, or its arrays do not fit each other.
    """
    arrays = load_arrays(path, required=SHAPES | {"options": "()"})
    where = str(path)
    history = cast_array(where, "history", arrays["history"], np.float64)
    if history.ndim != 1:
        raise DataError(f"{where}: history: expected {SHAPES['history']}, found {history.shape}")
    try:
        return Reconstruction(
            **{name: cast_array(where, name, arrays[name], dtype) for name, (dtype, _) in ARRAY_FIELDS.items()},
            history=tuple(history.tolist()),
            seconds=parse_number_entry(where, "seconds", arrays["seconds"]),
            options=parse_json_entry(path, "options", arrays["options"]),
        )
    except ShapeError as error:
        raise DataError(f"{where}: {error}") from error
