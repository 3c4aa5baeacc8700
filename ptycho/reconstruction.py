"""The record of a reconstruction: object and probe, the frames behind them, and how they were found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.archive import load_arrays, parse_json_entry, render_json_entry, save_arrays
from ptycho.errors import ShapeError

__all__ = ["RECONSTRUCTION_FILE", "Reconstruction", "load_reconstruction", "save_reconstruction"]

RECONSTRUCTION_FILE = "reconstruction.npz"  # its name in a folder that holds one

ARRAY_FIELDS = {
    "object": np.complex64,
    "probe": np.complex64,
    "origin": np.float64,
    "probe_positions": np.float64,
    "frames": np.int64,
    "coverage": np.float32,
}


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
        If arrays do not fit each other.
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
        n = len(self.frames)
        for name, found, expected in (
            ("probe", self.probe.ndim, 3),
            ("origin", self.origin.shape, (2,)),
            ("probe_positions", self.probe_positions.shape, (n, 2)),
            ("coverage", self.coverage.shape, self.object.shape),
        ):
            if found != expected:
                raise ShapeError(f"{name}: expected {expected}, found {found}")


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
        If the file is missing, damaged or lacks a key.
    ShapeError
        If its arrays do not fit each other.
    """
    arrays = load_arrays(path, required=(*ARRAY_FIELDS, "history", "seconds", "options"))
    return Reconstruction(
        **{name: arrays[name].astype(dtype, copy=False) for name, dtype in ARRAY_FIELDS.items()},
        history=tuple(float(value) for value in arrays["history"].astype(np.float64)),
        seconds=float(arrays["seconds"].astype(np.float64)),
        options=parse_json_entry(path, "options", arrays["options"]),
    )
