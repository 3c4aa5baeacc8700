"""The Siemens star that ships with tike: an experimental scan, its source and its conversion."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ptycho.archive import read_arrays
from ptycho.data.conventions import apply_conventions, find_conventions
from ptycho.data.fetch import Report, Source
from ptycho.data.scan import DataKind, Scan
from ptycho.data.scan_file import make_scan
from ptycho.errors import DataError

__all__ = ["SIEMENS_STAR", "convert_tike"]


def convert_tike(source: Source, content: bytes, report: Report) -> Scan:
    """Make a scan from the bytes of one of tike's npz files.

    `data` (1, n, h, w) counts, `scan` (1, n, 2) the minimum corner of each patch as (axis 0, axis 1) about an
    arbitrary centre, `probe` (1, 1, 1, m, h, w) of arbitrary power. Detector origin and the turning of the
    positions are found by trial; the probe is scaled to the mean counts of a frame.

    Raises
    ------
    DataError
        If a key is missing, a shape is not as described, or no convention stands out.
    """
    where = PurePosixPath(source.member)
    arrays = read_arrays(io.BytesIO(content), str(where), required=("data", "scan", "probe"))
    data, corner, probe = arrays["data"], arrays["scan"], arrays["probe"]
    n, h, w = _check_shapes(str(where), arrays)
    if np.mod(data.astype(np.float64), 1).any():
        raise DataError(f"{where}: data: expected counts (whole numbers), found fractions")
    modes = probe.reshape(-1, h, w).astype(np.complex128)
    modes *= np.sqrt(data.sum(dtype=np.float64) / n / (np.abs(modes) ** 2).sum())
    raw = make_scan(
        where,
        name=source.name,
        diffraction=data[0],
        probe_positions=corner[0].astype(np.float64) + np.array([h // 2, w // 2]),
        probe=modes,
        mask=np.ones((h, w), bool),
        kind=DataKind.COUNTS,
    )
    found = find_conventions(raw, lambda name, score: report(f"trial {name}: held-out R {score:.4f}"))
    scan = apply_conventions(raw, found.origin, found.axes)
    provenance = {
        "source": f"{source.requirement}: {source.member}",
        "sha256": source.sha256,
        "licence": source.licence,
        "conventions": found.describe(),
        "frame_of_positions": "minimum corner in the file, moved by (h//2, w//2)",
    }
    return replace(scan, provenance=provenance)


def _check_shapes(where: str, arrays: Mapping[str, NDArray[np.generic]]) -> tuple[int, int, int]:
    """Return (n, h, w), or raise."""
    shape = arrays["data"].shape
    if len(shape) != 4 or shape[0] != 1:
        raise DataError(f"{where}: data: expected (1, n, h, w), found {shape}")
    _, n, h, w = shape
    if arrays["scan"].shape != (1, n, 2):
        raise DataError(f"{where}: scan: expected {(1, n, 2)}, found {arrays['scan'].shape}")
    if arrays["probe"].shape[-2:] != (h, w):
        raise DataError(f"{where}: probe: expected (..., {h}, {w}), found {arrays['probe'].shape}")
    return n, h, w


SIEMENS_STAR = Source(
    name="siemens-star",
    requirement="tike==0.26.0",
    member="tike-0.26.0/tests/data/siemens-star-small.npz.bz2",
    sha256="dbce7715c1d4a7c28a48f684dacc7d343fbc5d06fe993d6ea31714ffb5c68d3d",
    licence="BSD-3-Clause",
    convert=convert_tike,
)
