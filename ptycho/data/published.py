"""Reader of the published .npz layout: diff3d, xcoords, ycoords, probeGuess (the "PINN" export)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ptycho.archive import load_arrays
from ptycho.data.scan import DataKind, Scan
from ptycho.data.scan_file import make_scan
from ptycho.errors import DataError

__all__ = ["load_published"]


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
    arrays = load_arrays(path, required=("diff3d", "xcoords", "ycoords", "probeGuess"))
    frames = arrays["diff3d"]
    if frames.ndim != 3:
        raise DataError(f"{path}: diff3d: expected (n, h, w), found {frames.shape}")
    n, h, w = frames.shape
    probe = arrays["probeGuess"]
    probe = probe[None] if probe.ndim == 2 else probe
    if probe.ndim != 3 or probe.shape[1:] != (h, w):
        raise DataError(
            f"{path}: probeGuess: expected (h, w) or (m, h, w) to match diff3d {frames.shape}, found "
            f"{arrays['probeGuess'].shape}; frames come first in diff3d"
        )
    for key in ("xcoords", "ycoords"):
        if arrays[key].shape != (n,):
            raise DataError(f"{path}: {key}: expected {(n,)} for diff3d {frames.shape}, found {arrays[key].shape}")
    bad = arrays.get("bad_pixels", np.zeros((h, w), bool)).astype(bool)
    intensity, found = _to_intensity(path, frames.astype(np.float64), kind)
    centre = np.stack((arrays["ycoords"], arrays["xcoords"]), axis=1).astype(np.float64)
    return make_scan(
        path,
        name=path.stem,
        diffraction=intensity,
        probe_positions=centre + np.array([h // 2 - (h - 1) / 2, w // 2 - (w - 1) / 2]),
        probe=probe,
        mask=~bad,
        kind=found,
        provenance={
            "source": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "conventions": {"detector_origin": "centre", "position_axes": "yx", "decided_by": "format"},
        },
    )


def _to_intensity(
    path: Path, frames: NDArray[np.float64], kind: DataKind | None
) -> tuple[NDArray[np.float64], DataKind]:
    """Return intensities and their kind; counts are recognised by being whole numbers."""
    if not np.isfinite(frames).all() or frames.min() < 0:
        raise DataError(f"{path}: diff3d: expected finite values >= 0, found NaN, infinite or negative ones")
    whole = bool((frames == np.round(frames)).all())
    if kind is None and not whole:
        raise DataError(
            f"{path}: diff3d: expected whole numbers (photon counts), found fractions; declare what they "
            "are: --kind intensity, or --kind amplitude"
        )
    if kind is DataKind.COUNTS and not whole:
        raise DataError(f"{path}: diff3d: expected whole numbers for --kind counts, found fractions")
    kind = kind or DataKind.COUNTS
    return (frames**2 if kind is DataKind.AMPLITUDE else frames), kind
