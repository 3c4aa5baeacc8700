"""The published layout (diff3d, xcoords, ycoords, probeGuess) with and without a stated format: checks, reader."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.archive import check_keys, load_arrays, parse_choice_entry, parse_text_entry
from ptycho.checks import parse_choice
from ptycho.data.rows import slabs
from ptycho.data.scan import DataKind, Scan, check_axis_order, check_lit
from ptycho.data.scan_file import make_scan
from ptycho.errors import DataError, ShapeError

__all__ = [
    "FORMAT",
    "LIT",
    "REQUIRED",
    "CoordinateFrame",
    "check_published",
    "find_kind",
    "load_published",
    "read_format",
    "square_amplitudes",
]

FORMAT = "ptycho-raw/1"  # of files that state kind and frame, and whose frames are intensities in every case
REQUIRED = {"diff3d": "(n, h, w)", "xcoords": "(n,)", "ycoords": "(n,)", "probeGuess": "(m, h, w)"}
LIT = ("diff3d", "probeGuess")  # what holds a number above 0
PER_FRAME = ("xcoords", "ycoords", "xcoords_start", "ycoords_start", "scan_index")
STATED = dict.fromkeys(PER_FRAME, "(n,)") | REQUIRED | {"mask": "(h, w)", "kind": "()", "frame": "()"}


class CoordinateFrame(StrEnum):
    """Which point of a patch `xcoords` and `ycoords` name, in object pixels with pixel centres at integers."""

    SAMPLE = "sample"  # patch sample (h//2, w//2), as in all of this library
    MIDDLE = "middle"  # the middle of the patch: between two pixels when its size is even; files have this

    def shift(self, frame_shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return what to add to (y, x) to get the coordinate of patch sample (h//2, w//2)."""
        h, w = frame_shape
        return np.array([h // 2 - (h - 1) / 2, w // 2 - (w - 1) / 2] if self is CoordinateFrame.MIDDLE else [0.0, 0.0])


def load_published(path: Path, kind: DataKind | str | None = None) -> Scan:
    """Read a published .npz file, or one that `ptycho.raw_data.RawData.save` wrote, which states what is said below.

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
    arrays = load_arrays(path)
    stated = read_format(arrays, str(path), kind) if "format" in arrays else None
    check_keys(arrays, REQUIRED, str(path))
    try:
        check_published(arrays)
        found = find_kind(arrays["diff3d"], stated[0] if stated else kind)
        for key in LIT:
            check_lit(key, arrays[key])
    except ShapeError as error:
        raise DataError(f"{path}: {error}") from error
    frames, probe = arrays["diff3d"], arrays["probeGuess"]
    h, w = frames.shape[1:]
    bad = arrays.get("bad_pixels", np.zeros((h, w), bool)).astype(bool)
    centre = np.stack((arrays["ycoords"], arrays["xcoords"]), axis=1).astype(np.float64)
    return make_scan(
        path,
        name=path.stem,
        diffraction=square_amplitudes(frames) if found is DataKind.AMPLITUDE and stated is None else frames,
        probe_positions=centre + (stated[1] if stated else CoordinateFrame.MIDDLE).shift((h, w)),
        probe=probe[None] if probe.ndim == 2 else probe,
        mask=arrays["mask"].astype(bool) if stated else ~bad,
        kind=found,
        provenance={
            "source": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "conventions": {"detector_origin": "centre", "position_axes": "yx", "decided_by": "format"},
        },
    )


def read_format(
    arrays: Mapping[str, NDArray[Any]], where: str, kind: DataKind | str | None = None
) -> tuple[DataKind, CoordinateFrame]:
    """Return the kind and the frame that a file of this format states.

    Parameters
    ----------
    arrays
        All of the file's.
    where
        What to call it in errors.
    kind
        What its reader was told.

    Raises
    ------
    DataError
        If it is of another format, lacks a key, or states another kind than its reader was told.
    """
    if (text := parse_text_entry(where, "format", arrays["format"])) != FORMAT:
        raise DataError(f"{where}: format: expected {FORMAT!r}, found {text!r}")
    check_keys(arrays, STATED, where)
    stated = parse_choice_entry(where, "kind", arrays["kind"], DataKind)
    if kind not in (None, stated):
        raise DataError(f"{where}: kind: expected {stated}, which the file states, or none, found {kind}")
    return stated, parse_choice_entry(where, "frame", arrays["frame"], CoordinateFrame)


def check_published(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise unless the arrays of the published layout fit each other and hold what they should.

    Raises
    ------
    ShapeError
        With the key, the shape found and the shape expected.
    """
    _check_shapes(arrays)
    numbers = dict.fromkeys(PER_FRAME, "uif") | {"probeGuess": "uifc", "objectGuess": "uifc"}
    for key, dtypes in (numbers | {"bad_pixels": "buif", "mask": "b"}).items():
        if key in arrays:
            _check_numbers(key, arrays[key], dtypes)
    if "scan_index" in arrays and np.mod(arrays["scan_index"], 1).any():
        raise ShapeError(f"scan_index: expected whole numbers, found fractions in {arrays['scan_index'].shape}")
    for key, dark in (("bad_pixels", True), ("mask", False)):
        if key in arrays and (arrays[key].astype(bool) == dark).all():
            raise ShapeError(f"{key}: expected a pixel to be believed, found none in {arrays[key].shape}")


def _check_shapes(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise unless the shapes fit each other."""
    frames, probe = arrays["diff3d"], arrays["probeGuess"].shape
    if frames.ndim != 3 or 0 in frames.shape or frames.dtype.kind not in "uif":
        raise ShapeError(
            f"diff3d: expected (n, h, w), found {frames.shape} of {frames.dtype}; real numbers, no length 0"
        )
    check_axis_order("diff3d", frames.shape, arrays["xcoords"].shape[:1] + probe[-2:])
    n, h, w = frames.shape
    if len(probe) not in (2, 3) or probe[-2:] != (h, w) or 0 in probe:
        raise ShapeError(
            f"probeGuess: expected {(h, w)} or (m, {h}, {w}) to match diff3d {frames.shape}, found {probe}; "
            "frames come first in diff3d"
        )
    expected: dict[str, tuple[int, ...]] = dict.fromkeys(PER_FRAME, (n,))
    for key, shape in (expected | {"bad_pixels": (h, w), "mask": (h, w)}).items():
        if key in arrays and arrays[key].shape != shape:
            raise ShapeError(f"{key}: expected {shape} for diff3d {frames.shape}, found {arrays[key].shape}")
    if "objectGuess" in arrays and (arrays["objectGuess"].ndim != 2 or 0 in arrays["objectGuess"].shape):
        raise ShapeError(f"objectGuess: expected (H, W), found {arrays['objectGuess'].shape}; no length 0")


def _check_numbers(key: str, array: NDArray[Any], dtypes: str) -> None:
    """Raise unless an array holds finite numbers of some kinds of dtype."""
    if array.dtype.kind not in dtypes:
        wanted = "bool" if dtypes == "b" else "numbers"
        raise ShapeError(f"{key}: expected {wanted}, found {array.shape} of {array.dtype}")
    if not np.isfinite(array).all():
        raise ShapeError(f"{key}: expected finite values, found NaN or infinity in {array.shape}")


def find_kind(frames: NDArray[Any], kind: DataKind | str | None = None) -> DataKind:
    """Return what frames (n, h, w) are: whole numbers are counts, others must be declared; read slab by slab.

    Raises
    ------
    ShapeError
        If there are values that are not finite or below 0, or fractions and no kind that allows them.
    ConfigError
        If there is no such kind.
    """
    kind = None if kind is None else parse_choice("kind", kind, DataKind)
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
