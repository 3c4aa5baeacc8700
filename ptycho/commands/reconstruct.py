"""`ptycho reconstruct`: object and probe from a scan, in a folder."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import ptycho
from ptycho.checks import check_whole
from ptycho.data import DataKind, FrameSet, select_frames
from ptycho.data.catalog import open_scan
from ptycho.data.sabotage import Sabotage, sabotage_scan
from ptycho.progress import Progress
from ptycho.reconstruction import RECONSTRUCTION_FILE, Reconstruction, save_reconstruction
from ptycho.solvers import Epoch, RPIEOptions, reconstruct

__all__ = ["RUN_FILE", "run"]

RUN_FILE = "run.json"


def run(args: argparse.Namespace) -> int:
    """Reconstruct ``args.scan`` and write `reconstruction.npz` and `run.json` to ``args.out``."""
    sabotage = Sabotage(args.sabotage)
    scan = sabotage_scan(open_scan(args.scan, DataKind(args.kind) if args.kind else None), sabotage)
    which = FrameSet(args.frames)
    frames = select_frames(scan, which)
    options = RPIEOptions(
        epochs=args.epochs,
        modes=args.modes,
        seed=_seed_of(args.seed, which),
        threads=args.threads,
        refine_positions=args.refine_positions,
    )
    with Progress(sys.stderr) as progress:
        progress.line(f"{scan.name}: {frames.size} of {scan.n_frames} frames ({which.value}), {options.epochs} epochs")
        result = reconstruct(scan, frames, options, lambda epoch: progress.update(_describe(epoch)))
    extra = {"scan": args.scan, "frames": which.value, "sabotage": sabotage.value}
    result = replace(result, options={**result.options, **extra})
    folder = Path(args.out)
    save_reconstruction(folder / RECONSTRUCTION_FILE, result)
    text = json.dumps(_summarise(result, scan.provenance.get("sha256")), indent=2) + "\n"
    (folder / RUN_FILE).write_text(text, encoding="utf-8")
    if args.json:
        sys.stdout.write(text)
    else:
        sys.stdout.write(
            f"{folder / RECONSTRUCTION_FILE}: R {result.history[-1]:.5f} after {len(result.history)} epochs, "
            f"{result.seconds:.1f} s\n"
        )
    return 0


def _seed_of(seed: int, which: FrameSet) -> int:
    """Return another seed for every frame set, so that two halves never share a random start."""
    return check_whole("--seed", seed, least=0) * len(FrameSet) + list(FrameSet).index(which)


def _describe(epoch: Epoch) -> str:
    """Return the progress line of an epoch."""
    left = epoch.seconds / epoch.number * (epoch.total - epoch.number)
    return f"epoch {epoch.number}/{epoch.total}  R {epoch.fourier_error:.5f}  {left:.0f} s left"


def _summarise(result: Reconstruction, sha256: object) -> dict[str, object]:
    """Return what run.json holds."""
    return {
        "schema": "ptycho-run/1",
        "options": dict(result.options),
        "scan_sha256": sha256,
        "frames_used": int(result.frames.size),
        "object_shape": list(result.object.shape),
        "fourier_error": result.history[-1],
        "history": [round(value, 7) for value in result.history],
        "seconds": round(result.seconds, 3),
        "versions": {"ptycho": ptycho.__version__, "numpy": np.__version__},
    }
