"""`ptycho info`: what a scan holds, and which conventions it was read with."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ptycho.data import DataKind, FrameSet, Scan, select_frames
from ptycho.data.catalog import open_scan
from ptycho.data.conventions import find_conventions
from ptycho.data.overlap import lattice_regularity, neighbour_overlap
from ptycho.data.split import probe_radius
from ptycho.errors import DataError
from ptycho.physics import make_canvas
from ptycho.progress import Progress

__all__ = ["describe", "run"]

LABELS = {"conventions": "conventions of the file, undone on reading"}


def run(args: argparse.Namespace) -> int:
    """Print the facts of ``args.scan``; with ``args.trial``, find its conventions anew."""
    scan = open_scan(args.scan, DataKind(args.kind) if args.kind else None)
    facts = describe(scan)
    if args.trial:
        with Progress(sys.stderr) as progress:
            found = find_conventions(scan, lambda name, score: progress.line(f"trial {name}: held-out R {score:.4f}"))
        facts["trial"] = {"relative_to_the_scan_as_read": True, **found.describe()}
    text = json.dumps(facts, indent=2) + "\n"
    if args.out:
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        Path(args.out).write_text(text, encoding="utf-8")
    sys.stdout.write(text if args.json else _render(facts))
    return 0


def describe(scan: Scan) -> dict[str, object]:
    """Return the facts of a scan as JSON values."""
    distance = cKDTree(scan.probe_positions).query(scan.probe_positions, k=2)[0][:, 1] if scan.n_frames > 1 else None
    step = None if distance is None else float(np.median(distance))
    radius = probe_radius(scan.probe)
    overlap = neighbour_overlap(scan.probe_positions, radius) if scan.n_frames > 1 and radius > 0 else None
    facts: dict[str, object] = {
        "name": scan.name,
        "frames": scan.n_frames,
        "frame_shape": list(scan.frame_shape),
        "kind": scan.kind.value,
        "photons_per_frame": scan.photons_per_frame,
        "fluence_photons_per_um2": _fluence(scan, radius),
        "nonzero_pixels": float(np.count_nonzero(scan.diffraction) / scan.diffraction.size),
        "valid_pixels": float(scan.mask.mean()),
        "probe_modes": len(scan.probe),
        "probe_radius_px": radius,
        "nearest_neighbour_px": step,
        "overlap_area": None if overlap is None else overlap.area,
        "overlap_linear": None if overlap is None else overlap.linear,
        "lattice_regularity": lattice_regularity(scan.probe_positions),
        "canvas_shape": list(make_canvas(scan.probe_positions, scan.frame_shape).shape),
        "pixel_size_m": scan.pixel_size_m,
        "known_object": scan.object_truth is not None,
        "position_error_px": None if scan.positions_truth is None else _position_error(scan, scan.positions_truth),
    }
    try:
        facts["frame_sets"] = {which.value: int(select_frames(scan, which).size) for which in FrameSet}
    except DataError as error:
        facts["frame_sets"] = str(error)
    facts["provenance"] = dict(scan.provenance)
    return facts


def _fluence(scan: Scan, radius: float) -> float | None:
    """Return the mean photons/µm² of one exposure, 0.9 dose / π R²; None without counts or without a pixel size."""
    if scan.photons_per_frame is None or scan.pixel_size_m is None:
        return None
    return 0.9 * scan.photons_per_frame / (np.pi * (radius * scan.pixel_size_m * 1e6) ** 2)


def _position_error(scan: Scan, truth: NDArray[np.float64]) -> float:
    """Return the root mean square distance of the positions from the true ones, a joint shift left out."""
    off = scan.probe_positions - truth
    return float(np.sqrt(np.square(off - off.mean(axis=0)).sum(axis=1).mean()))


def _render(facts: Mapping[str, object], indent: str = "") -> str:
    """Return the facts as indented lines."""
    lines = []
    for key, value in facts.items():
        if isinstance(value, Mapping):
            lines.append(f"{indent}{LABELS.get(key, key)}:\n{_render(value, indent + '  ')}")
        else:
            shown = f"{value:.5g}" if isinstance(value, float) else "-" if value is None else str(value)
            lines.append(f"{indent}{key}: {shown}\n")
    return "".join(lines)
