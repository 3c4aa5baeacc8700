"""`ptycho infer`: object and probe from a scan by a trained network, in a folder that `evaluate` reads."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import ptycho
from ptycho.commands.reconstruct import RUN_FILE
from ptycho.data import DataKind, FrameSet, select_frames
from ptycho.data.catalog import open_scan
from ptycho.data.sabotage import Sabotage, sabotage_scan
from ptycho.figures.pictures import draw_image
from ptycho.figures.style import render_figure
from ptycho.inference import InferenceProgress, infer
from ptycho.metrics.gauge import fix_gauge
from ptycho.nets import load_bundle
from ptycho.progress import Progress
from ptycho.reconstruction import RECONSTRUCTION_FILE, save_reconstruction

__all__ = ["PICTURE_FILE", "run"]

PICTURE_FILE = "object.png"


def run(args: argparse.Namespace) -> int:
    """Infer object and probe of ``args.scan`` and write record, summary and picture to ``args.out``."""
    sabotage = Sabotage(args.sabotage)
    scan = sabotage_scan(open_scan(args.scan, DataKind(args.kind) if args.kind else None), sabotage)
    frames = select_frames(scan, FrameSet(args.frames))
    bundle = load_bundle(Path(args.model))
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    with Progress(sys.stderr) as progress:
        progress.line(f"{scan.name}: {frames.size} of {scan.n_frames} frames ({args.frames}), {args.framework}")
        result = infer(
            bundle,
            scan,
            frames,
            framework=args.framework,
            device=args.device,
            chunk=args.chunk,
            sparse=args.sparse,
            report=lambda state: progress.update(_describe(state)),
        )
        for warning in result.options["warnings"]:
            progress.line(f"warning: {warning}")
    extra = {"scan": args.scan, "frames": args.frames, "sabotage": sabotage.value, "model": str(Path(args.model))}
    result = replace(result, options={**result.options, **extra})
    save_reconstruction(folder / RECONSTRUCTION_FILE, result)
    gauged = fix_gauge(result.object, result.probe, result.origin, result.probe_positions)
    (folder / PICTURE_FILE).write_bytes(render_figure(draw_image(gauged.image, scan.pixel_size_m)))
    summary = {
        "schema": "ptycho-run/1",
        "options": dict(result.options),
        "scan_sha256": scan.provenance.get("sha256"),
        "frames_used": int(result.frames.size),
        "object_shape": list(result.object.shape),
        "seconds": round(result.seconds, 3),
        "patterns_per_second": round(result.frames.size / result.seconds, 1),
        "versions": {"ptycho": ptycho.__version__},
    }
    text = json.dumps(summary, indent=2) + "\n"
    (folder / RUN_FILE).write_text(text, encoding="utf-8")
    line = f"{folder / RECONSTRUCTION_FILE}: {result.frames.size} frames in {result.seconds:.1f} s\n"
    sys.stdout.write(text if args.json else line)
    return 0


def _describe(state: InferenceProgress) -> str:
    """Return the progress line of a chunk."""
    left = state.seconds / state.done * (state.total - state.done)
    return f"group {state.done}/{state.total}  {left:.0f} s left"
