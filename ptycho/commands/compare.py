"""`ptycho compare`: a result beside a reference of the same scan, in one frame without registration."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from ptycho.data import DataKind, Scan
from ptycho.data.catalog import open_scan
from ptycho.figures.pictures import draw_pair
from ptycho.figures.style import render_figure
from ptycho.metrics.measure import Evaluation, measure
from ptycho.metrics.registration import overlay
from ptycho.metrics.summarise import describe_pair, summarise
from ptycho.metrics.truth import score_pair
from ptycho.progress import Progress
from ptycho.reconstruction import RECONSTRUCTION_FILE, load_reconstruction

__all__ = ["COMPARISON_FILE", "COMPARISON_PICTURE", "run"]

COMPARISON_FILE = "comparison.json"
COMPARISON_PICTURE = "comparison.png"


def run(args: argparse.Namespace) -> int:
    """Compare the results of the training frames in ``args.result`` and ``args.reference``; write to ``args.out``.

    Both are scored on the held-out frames as `ptycho evaluate` does it. Their objects are compared where
    their origins put them: a result that lies elsewhere than its reference agrees badly, and is not moved.
    """
    scan = open_scan(args.scan, DataKind(args.kind) if args.kind else None)
    folder = Path(args.out)
    undefined: dict[str, str] = {}
    with Progress(sys.stderr) as progress:
        progress.line(f"{scan.name}: comparing {args.result} with {args.reference}")
        result, reference = (_measure(scan, path, star=args.star) for path in (args.result, args.reference))
        pair = score_pair(overlay(reference.gauged.image, result.gauged.image))
        agreement = describe_pair(pair, scan.pixel_size_m, "agreement", undefined)
        body = {
            "schema": "ptycho-comparison/1",
            "scan": scan.name,
            "result": _describe(result),
            "reference": _describe(reference),
            "agreement": dataclasses.asdict(agreement),
            "undefined": undefined,
        }
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (folder / COMPARISON_FILE).write_text(text, encoding="utf-8")
        titles = (args.result_title, args.reference_title)
        (folder / COMPARISON_PICTURE).write_bytes(render_figure(draw_pair(pair, titles, scan.pixel_size_m)))
    sys.stdout.write(text if args.json else _render(body, titles))
    return 0


def _measure(scan: Scan, path: str, *, star: bool) -> Evaluation:
    return measure(scan, load_reconstruction(Path(path) / RECONSTRUCTION_FILE), star=star)


def _describe(evaluation: Evaluation) -> dict[str, Any]:
    """Return the scores of one result."""
    metrics = summarise(evaluation)
    return {
        "solver": evaluation.reconstruction.options.get("solver"),
        "seconds": round(evaluation.reconstruction.seconds, 3),
        "fidelity": dataclasses.asdict(metrics.fidelity),
        "positions": dataclasses.asdict(metrics.positions) if metrics.positions else None,
        "star_contrast": metrics.star.contrast if metrics.star else None,
    }


def _render(body: dict[str, Any], titles: tuple[str, str]) -> str:
    """Return a line for each result, and one for their agreement."""
    lines = []
    for title, part in zip(titles, ("result", "reference"), strict=True):
        held_out, contrast = body[part]["fidelity"]["held_out"], body[part]["star_contrast"]
        spokes = "" if contrast is None else f", spoke contrast {contrast:.3f}"
        moves = "; positions refined, held-out frames placed by half their pixels" if body[part]["positions"] else ""
        lines.append(
            f"{title}: held-out error {held_out['error_over_expected']:.3f} of its expectation{spokes}, "
            f"{body[part]['seconds']:.1f} s{moves}\n"
        )
    agreement = body["agreement"]
    lines.append(
        f"agreement: amplitude {agreement['amplitude_correlation']:.3f}, phase {agreement['phase_correlation']:.3f}\n"
    )
    return "".join(lines)
