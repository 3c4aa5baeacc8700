"""The library's own scan file: an .npz of plain arrays, one for each field of `Scan`."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ptycho.archive import (
    Arrays,
    cast_array,
    check_keys,
    load_arrays,
    parse_choice_entry,
    parse_json_entry,
    parse_number_entry,
    parse_text_entry,
    render_json_entry,
    save_arrays,
)
from ptycho.data.scan import DataKind, Scan, check_lit
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
_REQUIRED = {
    "diffraction": "(n, h, w)",
    "probe_positions": "(n, 2)",
    "probe": "(m, h, w)",
    "mask": "(h, w)",
    "name": "()",
    "kind": "()",
    "provenance": "()",
}


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
    arrays = load_arrays(path, required={"format": "()"})
    where = str(path)
    if (text := parse_text_entry(where, "format", arrays["format"])) != FORMAT:
        raise DataError(f"{where}: format: expected {FORMAT!r}, found {text!r}")
    check_keys(arrays, _REQUIRED, where)
    pixel_size = arrays.get("pixel_size_m")
    scan = make_scan(
        path,
        **{name: arrays[name] for name in _DTYPES if name in arrays},
        name=parse_text_entry(where, "name", arrays["name"]),
        kind=parse_choice_entry(where, "kind", arrays["kind"], DataKind),
        pixel_size_m=None if pixel_size is None else parse_number_entry(where, "pixel_size_m", pixel_size),
        provenance=parse_json_entry(path, "provenance", arrays["provenance"]),
    )
    try:
        for key in ("diffraction", "probe"):
            check_lit(key, getattr(scan, key))
    except ShapeError as error:
        raise DataError(f"{where}: {error}") from error
    return scan


def make_scan(path: PurePath, **fields: Any) -> Scan:  # noqa: ANN401 -- the fields of Scan, each of its own type
    """Return `Scan(**fields)` with arrays brought to the record's dtypes; an error names the file.

    Raises
    ------
    DataError
        If the fields do not make a scan.
    """
    converted: dict[str, Any] = {
        name: cast_array(str(path), name, value, _DTYPES[name]) if name in _DTYPES and value is not None else value
        for name, value in fields.items()
    }
    try:
        return Scan(**converted)
    except ShapeError as error:
        raise DataError(f"{path}: {error}") from error
