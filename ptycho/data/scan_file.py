"""The library's own scan file: an .npz of plain arrays, one for each field of `Scan`."""

from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np

from ptycho.archive import Arrays, load_arrays, parse_json_entry, render_json_entry, save_arrays
from ptycho.data.scan import DataKind, Scan
from ptycho.errors import DataError, ShapeError

__all__ = ["FORMAT", "load_scan", "make_scan", "save_scan"]

FORMAT = "ptycho-scan/1"

_DTYPES = {
    "diffraction": np.float32,
    "probe_positions": np.float64,
    "probe": np.complex64,
    "mask": np.bool_,
    "object_truth": np.complex64,
    "truth_origin": np.float64,
    "positions_truth": np.float64,
}
_OPTIONAL = ("object_truth", "truth_origin", "positions_truth", "pixel_size_m")


def save_scan(path: Path, scan: Scan) -> None:
    """Write a scan to `path`; exact, without compression."""
    arrays: Arrays = {name: getattr(scan, name) for name in _DTYPES if getattr(scan, name) is not None}
    if scan.pixel_size_m is not None:
        arrays["pixel_size_m"] = np.array(scan.pixel_size_m)
    arrays |= {
        "format": np.array(FORMAT),
        "name": np.array(scan.name),
        "kind": np.array(scan.kind.value),
        "provenance": render_json_entry(scan.provenance),
    }
    save_arrays(path, arrays)


def load_scan(path: Path) -> Scan:
    """Read what `save_scan` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged, of another format, or its arrays do not fit each other.
    """
    required = [key for key in _DTYPES if key not in _OPTIONAL]
    arrays = load_arrays(path, required=("format", *required, "name", "kind", "provenance"))
    if str(arrays["format"]) != FORMAT:
        raise DataError(f"{path}: format: expected {FORMAT!r}, found {str(arrays['format'])!r}")
    pixel_size = arrays.get("pixel_size_m")
    try:
        kind = DataKind(str(arrays["kind"]))
    except ValueError as error:
        raise DataError(f"{path}: kind: expected one of {', '.join(DataKind)}: {error}") from error
    return make_scan(
        path,
        **{name: arrays[name] for name in _DTYPES if name in arrays},
        name=str(arrays["name"]),
        kind=kind,
        pixel_size_m=None if pixel_size is None else float(pixel_size.astype(np.float64)),
        provenance=parse_json_entry(path, "provenance", arrays["provenance"]),
    )


def make_scan(path: PurePath, **fields: object) -> Scan:
    """Return `Scan(**fields)` with arrays brought to the record's dtypes; an error names the file.

    Raises
    ------
    DataError
        If the fields do not make a scan.
    """
    converted = {
        name: value if value is None or name not in _DTYPES else np.ascontiguousarray(value, _DTYPES[name])
        for name, value in fields.items()
    }
    try:
        return Scan(**converted)  # type: ignore[arg-type]
    except ShapeError as error:
        raise DataError(f"{path}: {error}") from error
