"""The experimental scans that ship with tike: where they come from, and how they become scans of ours."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.archive import read_arrays
from ptycho.data.conventions import apply_conventions, find_conventions
from ptycho.data.fetch import Report, Source
from ptycho.data.pickled import read_pickled_arrays
from ptycho.data.scan import DataKind, Scan
from ptycho.data.scan_file import make_scan
from ptycho.errors import DataError

__all__ = ["POSITION_ERROR", "SIEMENS_STAR", "convert_npz", "convert_pickle"]

PICKLED = ("data", "scan", "scan_truth", "probe")  # what the pickled list holds, in tike's own names
DEAD_SHARE = 0.01  # a pixel with less than this share of its neighbours' counts is dead ...
DEAD_COUNTS = 1000  # ... where these counted at least as many over the whole scan


def convert_npz(source: Source, content: bytes, report: Report) -> Scan:
    """Make a scan from the bytes of one of tike's npz files.

    `data` (1, n, h, w) counts, `scan` (1, n, 2) the minimum corner of each patch as (axis 0, axis 1) about an
    arbitrary centre, `probe` (1, 1, 1, m, h, w) of arbitrary power. Detector origin and the turning of the
    positions are found by trial; the probe is scaled to the mean counts of a frame.

    Raises
    ------
    DataError
        If a key is missing, a shape is not as described, or no convention stands out.
    """
    arrays = read_arrays(io.BytesIO(content), source.member, required=("data", "scan", "probe"))
    return _convert(source, arrays, (1,), report)


def convert_pickle(source: Source, content: bytes, report: Report) -> Scan:
    """Make a scan from the bytes of tike's pickled list of four arrays.

    `data` (n, h, w), `scan` (n, 2), `scan_truth` (n, 2), `probe` (..., m, h, w), the rest as in `convert_npz`.
    `scan` becomes the positions of the scan and `scan_truth` its `positions_truth`, at which the trials are
    made: wrong positions hide what is to be found.

    Raises
    ------
    DataError
        If the pickle holds anything else, a shape is not as described, or no convention stands out.
    """
    found = read_pickled_arrays(content, source.member)
    if len(found) != len(PICKLED):
        raise DataError(f"{source.member}: expected {len(PICKLED)} arrays: {', '.join(PICKLED)}; found {len(found)}")
    return _convert(source, dict(zip(PICKLED, found, strict=True)), (), report)


def _convert(source: Source, arrays: Mapping[str, NDArray[Any]], lead: tuple[int, ...], report: Report) -> Scan:
    """Return the scan of arrays whose frames and positions come behind the axes `lead`."""
    where = PurePosixPath(source.member)
    n, h, w = _check_arrays(str(where), arrays, lead)
    frames = arrays["data"].reshape(n, h, w)
    modes = arrays["probe"].reshape(-1, h, w).astype(np.complex128)
    modes *= np.sqrt(frames.sum(dtype=np.float64) / n / (np.abs(modes) ** 2).sum())
    positions = {key: arrays[key].reshape(n, 2) + np.array([h // 2, w // 2], np.float64) for key in _positions(arrays)}
    dead = _find_dead(frames)
    raw = make_scan(
        where,
        name=source.name,
        diffraction=frames,
        probe_positions=positions["scan"],
        probe=modes,
        mask=~dead,
        kind=DataKind.COUNTS,
        positions_truth=positions.get("scan_truth"),
    )
    best = raw if raw.positions_truth is None else raw.at_true_positions()
    found = find_conventions(best, lambda name, score: report(f"trial {name}: held-out R {score:.4f}"))
    provenance = {
        "source": f"{source.requirement}: {source.member}",
        "sha256": source.sha256,
        "licence": source.licence,
        "conventions": found.describe(),
        "frame_of_positions": "minimum corner in the file, moved by (h//2, w//2)",
    }
    if "scan_truth" in positions:
        provenance["positions"] = "measured (`scan` in the file); trials were made at positions_truth (`scan_truth`)"
    if dead.any():
        provenance["dead_pixels"] = f"{int(dead.sum())}, masked: below {DEAD_SHARE:.0%} of their neighbours' counts"
    return replace(apply_conventions(raw, found.origin, found.axes), provenance=provenance)


def _positions(arrays: Mapping[str, NDArray[Any]]) -> list[str]:
    """Return the keys of the arrays of positions that are there."""
    return [key for key in ("scan", "scan_truth") if key in arrays]


def _check_arrays(where: str, arrays: Mapping[str, NDArray[Any]], lead: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (n, h, w), or raise."""
    shape = arrays["data"].shape
    if len(shape) != len(lead) + 3 or shape[: len(lead)] != lead or 0 in shape:
        expected = ", ".join([*map(str, lead), "n", "h", "w"])
        raise DataError(f"{where}: data: expected ({expected}), found {shape}")
    n, h, w = shape[-3:]
    for key in _positions(arrays):
        if arrays[key].shape != (*lead, n, 2):
            raise DataError(f"{where}: {key}: expected {(*lead, n, 2)}, found {arrays[key].shape}")
    if arrays["probe"].shape[-2:] != (h, w):
        raise DataError(f"{where}: probe: expected (..., {h}, {w}), found {arrays['probe'].shape}")
    for key in ("data", *_positions(arrays), "probe"):
        kinds, wanted = ("uifc", "numbers") if key == "probe" else ("uif", "real numbers")
        if arrays[key].dtype.kind not in kinds:
            raise DataError(f"{where}: {key}: expected {wanted}, found {arrays[key].shape} of {arrays[key].dtype}")
    if arrays["data"].dtype.kind == "f" and np.mod(arrays["data"], 1).any():
        raise DataError(f"{where}: data: expected counts (whole numbers), found fractions")
    for key, wanted in (("data", "counts"), ("probe", "some light")):
        if not arrays[key].any():
            raise DataError(f"{where}: {key}: expected {wanted}, found only zeros in {arrays[key].shape}")
    return n, h, w


def _find_dead(frames: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return (h, w) bool, True where a pixel of the detector counted next to nothing amid neighbours that did."""
    total = frames.sum(axis=0, dtype=np.float64)
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    near = scipy.ndimage.median_filter(total, footprint=ring, mode="wrap")
    dead: NDArray[np.bool_] = (near >= DEAD_COUNTS) & (total < DEAD_SHARE * near)
    return dead


SIEMENS_STAR = Source(
    name="siemens-star",
    requirement="tike==0.26.0",
    member="tike-0.26.0/tests/data/siemens-star-small.npz.bz2",
    sha256="dbce7715c1d4a7c28a48f684dacc7d343fbc5d06fe993d6ea31714ffb5c68d3d",
    licence="BSD-3-Clause",
    convert=convert_npz,
)

POSITION_ERROR = Source(
    name="position-error",
    requirement="tike==0.26.0",
    member="tike-0.26.0/tests/data/position-error-247.pickle.bz2",
    sha256="e3f8b607de5e7c712eb50744a0e03f814f9f3aec52aa5f0295b9537d561c84b9",
    licence="BSD-3-Clause",
    convert=convert_pickle,
)
