"""The published layout: diff3d, xcoords, ycoords, probeGuess (the "PINN" export), its checks and its reader."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.archive import load_arrays
from ptycho.data.normalisation import slabs
from ptycho.data.scan import DataKind, Scan
from ptycho.data.scan_file import make_scan
from ptycho.errors import DataError, ShapeError

__all__ = ["REQUIRED", "CoordinateFrame", "check_published", "find_kind", "load_published", "square_amplitudes"]

REQUIRED = ("diff3d", "xcoords", "ycoords", "probeGuess")


class CoordinateFrame(StrEnum):
    """Which point of a patch `xcoords` and `ycoords` name, in object pixels with pixel centres at integers."""

    SAMPLE = "sample"  # patch sample (h//2, w//2), as in all of this library
    MIDDLE = "middle"  # the middle of the patch: between two pixels when its size is even; files have this

    def shift(self, frame_shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return what to add to (y, x) to get the coordinate of patch sample (h//2, w//2)."""
        h, w = frame_shape
        return np.array([h // 2 - (h - 1) / 2, w // 2 - (w - 1) / 2] if self is CoordinateFrame.MIDDLE else [0.0, 0.0])


def load_published(path: Path, kind: DataKind | None = None) -> Scan:
    """Read a published .npz file.

    `diff3d` (n, h, w) has the detector origin at (h//2, w//2). `xcoords`, `ycoords` (n,) are the middle of
    the patch in object pixels, pixel centres at integers; the middle of an even frame lies between pixels,
    so patch sample (h//2, w//2) lies at y + h//2 − (h−1)/2, and so for x. `probeGuess` is (h, w) or
    (m, h, w). `bad_pixels` (h, w), True = bad, is optional. `objectGuess` is a guess, not a truth: it is
    left aside.

    Parameters
    ----------
    path
        The file.
    kind
        What the numbers are. Integer-valued data are counts by themselves; others must be declared.

    Returns
    -------
    Scan
        Amplitudes squared; conventions as this layout states them, marked "by format" in the provenance.

    Raises
    ------
    DataError
        If a key is missing, a shape or a value is wrong, or the kind must be declared.
    """
    arrays = load_arrays(path, required=REQUIRED)
    try:
        check_published(arrays)
        found = find_kind(arrays["diff3d"], kind)
    except ShapeError as error:
        raise DataError(f"{path}: {error}") from error
    frames, probe = arrays["diff3d"], arrays["probeGuess"]
    h, w = frames.shape[1:]
    bad = arrays.get("bad_pixels", np.zeros((h, w), bool)).astype(bool)
    centre = np.stack((arrays["ycoords"], arrays["xcoords"]), axis=1).astype(np.float64)
    return make_scan(
        path,
        name=path.stem,
        diffraction=square_amplitudes(frames) if found is DataKind.AMPLITUDE else frames,
        probe_positions=centre + CoordinateFrame.MIDDLE.shift((h, w)),
        probe=probe[None] if probe.ndim == 2 else probe,
        mask=~bad,
        kind=found,
        provenance={
            "source": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "conventions": {"detector_origin": "centre", "position_axes": "yx", "decided_by": "format"},
        },
    )


def check_published(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise unless the arrays of the published layout fit each other and the coordinates are finite.

    Raises
    ------
    ShapeError
        With the key, the shape found and the shape expected.
    """
    frames = arrays["diff3d"]
    if frames.ndim != 3 or 0 in frames.shape or frames.dtype.kind not in "uif":
        raise ShapeError(f"diff3d: expected (n, h, w), found {frames.shape} of {frames.dtype}")
    n, h, w = frames.shape
    probe = arrays["probeGuess"].shape
    if len(probe) not in (2, 3) or probe[-2:] != (h, w):
        raise ShapeError(
            f"probeGuess: expected (h, w) or (m, h, w) to match diff3d {frames.shape}, found {probe}; "
            "frames come first in diff3d"
        )
    expected = dict.fromkeys(("xcoords", "ycoords", "xcoords_start", "ycoords_start", "scan_index"), (n,))
    for key, shape in (expected | {"bad_pixels": (h, w), "mask": (h, w)}).items():
        if key in arrays and arrays[key].shape != shape:
            raise ShapeError(f"{key}: expected {shape} for diff3d {frames.shape}, found {arrays[key].shape}")
    if "objectGuess" in arrays and arrays["objectGuess"].ndim != 2:
        raise ShapeError(f"objectGuess: expected (H, W), found {arrays['objectGuess'].shape}")
    numbers = dict.fromkeys(("xcoords", "ycoords", "xcoords_start", "ycoords_start"), "uif")
    for key, dtypes in (numbers | {"probeGuess": "uifc", "objectGuess": "uifc"}).items():
        if key in arrays and arrays[key].dtype.kind not in dtypes:
            raise ShapeError(f"{key}: expected numbers, found {arrays[key].shape} of {arrays[key].dtype}")
        if key in arrays and not np.isfinite(arrays[key]).all():
            raise ShapeError(f"{key}: expected finite values, found NaN or infinity in {arrays[key].shape}")


def find_kind(frames: NDArray[Any], kind: DataKind | None = None) -> DataKind:
    """Return what frames (n, h, w) are: whole numbers are counts, others must be declared; read slab by slab.

    Raises
    ------
    ShapeError
        If there are values that are not finite or below 0, or fractions and no kind that allows them.
    """
    whole = True
    for slab in slabs(frames.shape):
        part = np.asarray(frames[slab])
        if not part.min() >= 0 or not np.isfinite(part.max()):  # the first is also true of NaN
            raise ShapeError(
                f"diff3d: expected finite values >= 0, found NaN, infinite or negative ones in {frames.shape}"
            )
        whole = whole and (part.dtype.kind != "f" or bool((part == np.round(part)).all()))
    if kind is None and not whole:
        raise ShapeError(
            f"diff3d: expected whole numbers (photon counts), found fractions in {frames.shape}; declare what they "
            "are: --kind intensity, or --kind amplitude (in Python: kind=...)"
        )
    if kind is DataKind.COUNTS and not whole:
        raise ShapeError(f"diff3d: expected whole numbers for --kind counts, found fractions in {frames.shape}")
    return kind or DataKind.COUNTS


def square_amplitudes(frames: NDArray[Any]) -> NDArray[np.floating]:
    """Return intensities from amplitudes, squared in float64; float32 unless the input is float64."""
    squared = np.empty(frames.shape, np.float64 if frames.dtype == np.float64 else np.float32)
    for slab in slabs(frames.shape):
        squared[slab] = np.asarray(frames[slab]).astype(np.float64) ** 2
    return squared
