"""`ptycho simulate`: a scan with a known truth, in a file."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ptycho.data import save_scan
from ptycho.data.simulation import Simulation, simulate
from ptycho.errors import ConfigError

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Write a simulated scan to ``args.out``."""
    rows, _, columns = args.grid.partition("x")
    if not (rows.isdigit() and columns.isdigit()):
        raise ConfigError(f"--grid: expected ROWSxCOLUMNS such as 22x23, found {args.grid!r}")
    path = Path(args.out)
    if path.suffix != ".npz":
        raise ConfigError(f"--out: expected a path ending in .npz, found {args.out!r}")
    settings = Simulation(
        rows=int(rows),
        columns=int(columns),
        frame_px=args.frame_px,
        step_px=args.step_px,
        dose=args.dose,
        seed=args.seed,
        object=args.object,
        modes=args.modes,
        known_probe=args.known_probe,
    )
    scan = simulate(settings)
    save_scan(path, scan)
    result = {
        "path": str(path),
        "frames": scan.n_frames,
        "dose_asked": settings.dose,
        "photons_per_frame": scan.photons_per_frame,
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n" if args.json else f"{path}\n")
    return 0
