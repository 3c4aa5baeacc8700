"""A network on the Siemens star: beside the iterative solver, as its start, and how fast it infers.

    python benchmarks/network_star.py --out benchmarks/results [--seconds 420] [--bundle DIR]

Writes network_star.json and .md, and network_star.png: the held-out error against the time of the solver, from an
empty object and from the network's. Needs the data set (`python -m ptycho fetch siemens-star`). Inference is timed
in a process of its own for each framework, after one chunk whose time is not counted; the peak of memory is what
predicting and joining add to scan, examples and network (read as Linux tells it).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ptycho.data import FrameSet, Scan, select_frames
from ptycho.data.catalog import open_scan
from ptycho.data.examples import make_examples
from ptycho.data.groups import default_neighbours, group_frames
from ptycho.figures.style import BLUE, GREY, ORANGE, make_figure, render_figure, show_curve_axes
from ptycho.inference import infer, join_groups, predict_chunks
from ptycho.metrics.measure import measure
from ptycho.metrics.registration import overlay
from ptycho.metrics.truth import score_pair
from ptycho.nets import Bundle, build_network, load_bundle, save_bundle
from ptycho.nets.bundle import BUNDLE_FILE
from ptycho.physics import make_canvas
from ptycho.reconstruction import Reconstruction
from ptycho.solvers import RPIEOptions, reconstruct
from ptycho.train import TrainOptions
from ptycho.train.scan import train_scan

SCAN = "siemens-star"
EPOCHS = (1, 2, 3, 5, 8, 12, 20, 30)
FRAMEWORKS = ("torch", "tensorflow")
Record = dict[str, Any]


def main() -> int:
    """Measure, and write the three files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=420, help="of training (420)")
    parser.add_argument("--bundle", type=Path, help="what ptycho train wrote: nothing is trained here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--time", nargs=2, metavar=("FRAMEWORK", "BUNDLE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    scan = open_scan(SCAN, None)
    frames = select_frames(scan, FrameSet.TRAIN)
    if args.time:
        print(json.dumps(time_inference(scan, frames, args.time[0], load_bundle(Path(args.time[1])))))
        return 0
    reference = reconstruct(scan, frames, RPIEOptions(epochs=max(EPOCHS), threads=args.threads))
    if args.bundle:
        bundle = load_bundle(args.bundle)
    else:
        bundle, _ = train_scan(scan, frames, None, TrainOptions(seconds=args.seconds), probe=reference.probe)
    network = infer(bundle, scan, frames)
    results: Record = {
        "agreement": agree(scan, network, reference),
        "curves": run_curves(scan, frames, network, args.threads),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / BUNDLE_FILE
        save_bundle(path, bundle)
        results["inference"] = [run_alone(framework, path, args.threads) for framework in FRAMEWORKS]
    results["training_seconds"] = bundle.training["history"]["epochs"][-1]["seconds"]
    results["load"] = round(os.getloadavg()[0], 1)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "network_star.json").write_text(json.dumps(results, indent=1) + "\n")
    (args.out / "network_star.md").write_text(render(results))
    (args.out / "network_star.png").write_bytes(draw(results))
    print(render(results))
    return 0


def agree(scan: Scan, network: Reconstruction, reference: Reconstruction) -> Record:
    """Return how the network's object compares with the iterative one, in one frame without registration."""
    images = [measure(scan, result, star=True) for result in (network, reference)]
    pair = score_pair(overlay(images[1].gauged.image, images[0].gauged.image))
    return {
        "amplitude_correlation": pair.amplitude_correlation,
        "phase_correlation": pair.phase_correlation,
        "held_out": [image.held_out.scores.error_over_expected for image in images],
        "contrast": [image.star.contrast if image.star else None for image in images],
    }


def run_curves(scan: Scan, frames: np.ndarray, network: Reconstruction, threads: int) -> list[Record]:
    """Return the held-out error after so many epochs, each a run of its own, from both starts."""
    curves = []
    for name, start in (("empty object", None), ("network", network)):
        modes = network.probe.shape[0]
        points = []
        for epochs in EPOCHS:
            found = reconstruct(scan, frames, RPIEOptions(epochs=epochs, modes=modes, threads=threads), start=start)
            points.append((found.seconds, measure(scan, found).held_out.scores.error_over_expected))
        curves.append({"start": name, "points": points})
    curves[1]["inference_seconds"] = network.seconds
    curves[1]["inferred"] = measure(scan, network).held_out.scores.error_over_expected
    return curves


def run_alone(framework: str, bundle: Path, threads: int) -> Record:
    """Return the timing of a framework in a process of its own."""
    limits = {"OMP_NUM_THREADS": str(threads), "TF_NUM_INTRAOP_THREADS": str(threads)}
    command = [sys.executable, __file__, "--out", ".", "--time", framework, str(bundle)]
    done = subprocess.run(command, env=os.environ | limits, stdout=subprocess.PIPE, text=True, check=True)
    record: Record = json.loads(done.stdout.splitlines()[-1])
    return record


def time_inference(scan: Scan, frames: np.ndarray, framework: str, bundle: Bundle) -> Record:
    """Return patterns per second with and without stitching, and what it adds to the peak of memory."""
    part, size = scan.select(frames), bundle.specification.group_size
    groups = group_frames(part.probe_positions, size, neighbours=default_neighbours(size))
    examples = make_examples(part, groups, bundle.illumination.normalisation)
    specification = bundle.specification.holding(examples.offsets)
    network = build_network(specification, bundle.illumination, bundle.weights, framework=framework)
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins again at what is in use now
    before = read_memory("VmRSS")
    list(predict_chunks(network, examples.select(slice(0, 32))))
    began = time.perf_counter()
    for _ in predict_chunks(network, examples):
        pass
    predicted = time.perf_counter() - began
    began = time.perf_counter()
    join_groups(network, examples, make_canvas(scan.probe_positions, scan.frame_shape))
    joined = time.perf_counter() - began
    sparse = infer(bundle, scan, frames, framework=framework, sparse=True)
    return {
        "framework": framework,
        "predict_patterns_per_second": len(frames) / predicted,
        "infer_patterns_per_second": len(frames) / joined,
        "sparse_patterns_per_second": len(frames) / sparse.seconds,
        "added_peak_mb": read_memory("VmHWM") - before,
    }


def read_memory(key: str) -> float:
    """Return an entry of Linux' status of this process, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key + ":"))


def render(results: Record) -> str:
    """Return the tables."""
    found = results["agreement"]
    lines = [
        f"Network trained for {results['training_seconds']:.0f} s; load {results['load']} during the last part.",
        "",
        "| object | held-out error / expectation | spoke contrast |",
        "|---|---|---|",
    ]
    for name, error, contrast in zip(
        ("network", "iterative, 30 epochs"), found["held_out"], found["contrast"], strict=True
    ):
        lines.append(f"| {name} | {error:.3f} | {contrast:.3f} |")
    lines += [
        "",
        f"In one frame without registration they agree to {found['phase_correlation']:.3f} in phase and "
        f"{found['amplitude_correlation']:.3f} in amplitude (correlations).",
        "",
        "| inference | patterns/s, groups alone | patterns/s, joined | patterns/s, sparse, joined | added peak / MB |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['framework']} | {row['predict_patterns_per_second']:.1f} | {row['infer_patterns_per_second']:.1f} "
        f"| {row['sparse_patterns_per_second']:.1f} | {row['added_peak_mb']:.0f} |"
        for row in results["inference"]
    ]
    lines += [
        "",
        "| epochs | " + " | ".join(f"from {curve['start']}" for curve in results["curves"]) + " |",
        "|---|---|---|",
    ]
    for index, epochs in enumerate(EPOCHS):
        cells = [
            f"{error:.3f} after {seconds:.1f} s"
            for seconds, error in (curve["points"][index] for curve in results["curves"])
        ]
        lines.append(f"| {epochs} | " + " | ".join(cells) + " |")
    lines += ["", f"The network's own inference takes {results['curves'][1]['inference_seconds']:.1f} s on top."]
    return "\n".join(lines) + "\n"


def draw(results: Record) -> bytes:
    """Return the picture of both curves."""
    figure = make_figure(6.6, 4.2)
    axes = figure.subplots()
    cold, warm = results["curves"]
    for curve, colour, label in ((cold, BLUE, "from an empty object"), (warm, ORANGE, "from the network's object")):
        axes.loglog(*zip(*curve["points"], strict=True), color=colour, marker=".", lw=1.6, label=label)
    later = [(seconds + warm["inference_seconds"], error) for seconds, error in warm["points"]]
    axes.loglog(*zip(*later, strict=True), color=ORANGE, marker=".", lw=1, ls="--", label="the same, inference counted")
    axes.axhline(warm["inferred"], color=GREY, lw=1, ls=":", label="the network's object itself")
    title = "Siemens star: the solver from two starts"
    show_curve_axes(axes, title=title, x="time of the solver / s", y="held-out error over its expectation")
    axes.legend(fontsize=8, framealpha=1, edgecolor="none")
    return render_figure(figure)


if __name__ == "__main__":
    raise SystemExit(main())
