"""`ptycho train`: a network from a scan, in a folder; killed, it is taken up with --resume."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ptycho.data import DataKind, FrameSet, select_frames
from ptycho.data.catalog import open_scan
from ptycho.figures.style import render_figure
from ptycho.figures.training import draw_training
from ptycho.nets import NetworkKind, TrainingLoss, save_bundle
from ptycho.nets.bundle import BUNDLE_FILE
from ptycho.progress import Progress
from ptycho.reconstruction import RECONSTRUCTION_FILE, load_reconstruction
from ptycho.train import EpochRecord, StepRecord, TrainOptions
from ptycho.train.scan import Recipe, train_scan

__all__ = ["CHECKPOINT_FILE", "FIGURE_FILE", "HISTORY_FILE", "run"]

CHECKPOINT_FILE = "checkpoint.npz"
HISTORY_FILE = "history.json"
FIGURE_FILE = "training.png"


def run(args: argparse.Namespace) -> int:
    """Train a network on ``args.scan`` and write bundle, checkpoint, history and its picture to ``args.out``."""
    scan = open_scan(args.scan, DataKind(args.kind) if args.kind else None)
    frames = select_frames(scan, FrameSet(args.frames))
    recipe = Recipe(
        kind=NetworkKind(args.network),
        gridsize=args.gridsize,
        loss=TrainingLoss(args.loss),
        seed=args.seed,
        framework=args.framework,
        device=args.device,
    )
    options = TrainOptions(epochs=args.epochs, patience=args.patience, seconds=args.seconds, seed=args.seed)
    probe = load_reconstruction(Path(args.probe) / RECONSTRUCTION_FILE).probe if args.probe else None
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    with Progress(sys.stderr) as progress:
        progress.line(f"{scan.name}: {frames.size} of {scan.n_frames} frames ({args.frames}), {args.framework}")

        def report(record: StepRecord | EpochRecord) -> None:
            (progress.update if isinstance(record, StepRecord) else progress.line)(str(record))

        bundle, history = train_scan(
            scan,
            frames,
            recipe,
            options,
            probe=probe,
            checkpoint=folder / CHECKPOINT_FILE,
            resume=args.resume,
            report=report,
        )
    save_bundle(folder / BUNDLE_FILE, bundle)
    text = json.dumps(history.to_json(), indent=2) + "\n"
    (folder / HISTORY_FILE).write_text(text, encoding="utf-8")
    (folder / FIGURE_FILE).write_bytes(render_figure(draw_training(history)))
    best = history.best
    sys.stdout.write(text if args.json else f"{folder / BUNDLE_FILE}: best {best}, ended by {history.ending}\n")
    return 0
