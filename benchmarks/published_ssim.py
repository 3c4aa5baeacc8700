"""The one table the ancestor published, as far as a CPU goes: amplitude SSIM on an object of lines without phase.

    python benchmarks/published_ssim.py --out benchmarks/results [--minutes 3] [--gridsizes 1 2] [--probes ideal star]

An object of random lines of 392 px, phase 0, N = 64, dose 1e9. The published numbers come from 60 epochs on a GPU
and an experimental probe that is not public; the probe of the Siemens star, cropped to its middle, stands in for it
(`--probes star` needs `python -m ptycho fetch siemens-star`). The published ideal probe is a disc of light. Each
network trains on three quarters of the scan and is scored on the last quarter, which it has not seen, by
`ssim_ancestor`: the amplitude rescaled to the mean of the truth, in the truth's range.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage

from ptycho.data import Scan
from ptycho.data.catalog import open_scan
from ptycho.data.validation import split_strip
from ptycho.inference import infer
from ptycho.metrics.gauge import fix_gauge
from ptycho.metrics.images import ssim_ancestor
from ptycho.metrics.measure import compare_with_truth
from ptycho.physics import predict_intensity
from ptycho.train import TrainOptions
from ptycho.train.scan import Recipe, train_scan

SIZE_PX, FRAME_PX, STEP_PX, DOSE = 392, 64, 8.0, 1e9
LINES, LINE_WIDTH_PX = 400, (1.0, 4.0)
DISC_RADIUS_PX = 12.0
PUBLISHED = {("star", 1): 0.904, ("star", 2): 0.968, ("ideal", 1): 0.620, ("ideal", 2): 0.952}


def main() -> int:
    """Train, infer, score and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--gridsizes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--probes", nargs="+", choices=("ideal", "star"), default=["ideal", "star"])
    args = parser.parse_args()
    results = []
    for probe in args.probes:
        scan = make_scan(probe)
        for gridsize in args.gridsizes:
            results.append(score(scan, gridsize, args.minutes) | {"probe": probe, "gridsize": gridsize})
            print(results[-1], flush=True)
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / "published_ssim.json").write_text(json.dumps(results, indent=1) + "\n")
            (args.out / "published_ssim.md").write_text(render(results, args.minutes))
    return 0


def make_scan(probe: str, seed: int = 0) -> Scan:
    """Return the scan of an object of lines, its probe known."""
    rng = np.random.default_rng(seed)
    count = int((SIZE_PX - FRAME_PX - 4) // STEP_PX) + 1
    grid = np.indices((count, count)).reshape(2, -1).T * STEP_PX + FRAME_PX // 2 + 2
    positions = grid + rng.uniform(-0.3 * STEP_PX, 0.3 * STEP_PX, grid.shape).clip(-2, 2)
    beam = make_disc() if probe == "ideal" else crop_star()
    obj, origin = make_lines(rng), np.zeros(2)
    expected = predict_intensity(obj, origin, beam, positions)
    scale = DOSE * len(positions) / expected.sum()
    return Scan(
        name=f"lines-{probe}",
        diffraction=rng.poisson(scale * expected).astype(np.float32),
        probe_positions=positions,
        probe=(np.sqrt(scale) * beam).astype(np.complex64),
        mask=np.ones((FRAME_PX, FRAME_PX), np.bool_),
        object_truth=obj.astype(np.complex64),
        truth_origin=origin,
    )


def make_lines(rng: np.random.Generator) -> np.ndarray:
    """Return random lines of amplitude up to 1 on a grey of 0.2, phase 0."""
    picture = np.zeros((SIZE_PX, SIZE_PX))
    y, x = np.indices(picture.shape)
    for _ in range(LINES):
        angle, width = rng.uniform(0, np.pi), rng.uniform(*LINE_WIDTH_PX)
        centre_y, centre_x, length = rng.uniform(0, SIZE_PX), rng.uniform(0, SIZE_PX), rng.uniform(30, 200)
        along = (y - centre_y) * np.sin(angle) + (x - centre_x) * np.cos(angle)
        across = (y - centre_y) * np.cos(angle) - (x - centre_x) * np.sin(angle)
        inside = np.minimum(length / 2 - np.abs(along), width / 2 - np.abs(across))
        picture += np.clip(inside + 0.5, 0, 1) * rng.uniform(0.3, 1)
    smooth = scipy.ndimage.gaussian_filter(picture, 0.7)
    return (0.2 + 0.8 * smooth / smooth.max()).astype(np.complex128)


def make_disc() -> np.ndarray:
    """Return one mode: a disc of light with soft edges."""
    y, x = np.indices((FRAME_PX, FRAME_PX)) - FRAME_PX // 2
    return scipy.ndimage.gaussian_filter(np.clip(DISC_RADIUS_PX + 0.5 - np.hypot(y, x), 0, 1), 2.0)[None] + 0j


def crop_star() -> np.ndarray:
    """Return the first mode of the Siemens star's probe, its middle of 64 × 64 pixels."""
    probe = open_scan("siemens-star", None).probe[:1]
    corner = [(size - FRAME_PX) // 2 for size in probe.shape[1:]]
    cropped: np.ndarray = probe[:, corner[0] : corner[0] + FRAME_PX, corner[1] : corner[1] + FRAME_PX]
    return cropped.astype(np.complex128)


def score(scan: Scan, gridsize: int, minutes: float) -> dict[str, Any]:
    """Return the scores of a network on the quarter of the scan that it has not seen."""
    seen, held = split_strip(scan.probe_positions, 0.25)
    options = TrainOptions(epochs=60, seconds=60 * minutes)
    bundle, history = train_scan(scan, seen, Recipe(gridsize=gridsize), options)
    found = infer(bundle, scan, held)
    compared = compare_with_truth(scan, fix_gauge(found.object, found.probe, found.origin, found.probe_positions))
    if compared is None:
        raise RuntimeError("the simulated scan has no truth")
    aligned = compared.aligned
    inside = aligned.window >= 0.5 * aligned.window.max()
    return {
        "ssim_ancestor": ssim_ancestor(aligned.reference, aligned.moving, inside),
        "amplitude_correlation": compared.amplitude_correlation,
        "phase_deviation_rad": float(np.std(np.angle(aligned.moving[inside] * aligned.reference[inside].conj()))),
        "epochs": len(history.epochs),
        "steps": sum(record.steps for record in history.epochs),
    }


def render(results: list[dict[str, Any]], minutes: float) -> str:
    """Return the table."""
    lines = [
        f"{minutes:g} minutes of training on a CPU for each row; the published column had 60 epochs on a GPU.",
        "",
        "| probe | gridsize | `ssim_ancestor` | published | amplitude corr. | phase scatter / rad | epochs |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in results:
        published = PUBLISHED[row["probe"], row["gridsize"]]
        lines.append(
            f"| {row['probe']} | {row['gridsize']} | {row['ssim_ancestor']:.3f} | {published:.3f} "
            f"| {row['amplitude_correlation']:.3f} | {row['phase_deviation_rad']:.3f} | {row['epochs']} |"
        )
    lines += [
        "",
        "`star`: the middle of the Siemens star's probe, in place of an experimental probe that is not public.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
