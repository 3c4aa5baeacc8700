"""`ptycho evaluate`: scores, verdicts, figures and a one-page summary of a reconstruction, in a folder."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from ptycho.data import DataKind
from ptycho.data.catalog import open_scan
from ptycho.data.sabotage import Sabotage, sabotage_scan
from ptycho.errors import ConfigError
from ptycho.figures import draw_figures, render_page
from ptycho.metrics.criteria import CRITERIA
from ptycho.metrics.measure import Evaluation, measure
from ptycho.metrics.schema import Metrics, render_metrics
from ptycho.metrics.spoil import Spoil, spoil_result
from ptycho.metrics.summarise import summarise
from ptycho.progress import Progress
from ptycho.reconstruction import RECONSTRUCTION_FILE, Reconstruction, load_reconstruction, save_reconstruction

__all__ = ["FIGURES_FILE", "METRICS_FILE", "PAGE_FILE", "RESULT_FILE", "run"]

METRICS_FILE = "metrics.json"
FIGURES_FILE = "figures.json"
PAGE_FILE = "summary.md"
RESULT_FILE = "result.npz"


def run(args: argparse.Namespace) -> int:
    """Evaluate the reconstruction in ``args.train`` and write the results to ``args.out``.

    Every score is computed from the saved object, probe and origin with our own forward model, and, where the file
    says that positions were refined, from those it ends with; numbers that the files carry are shown as the solver's
    record and decide nothing.

    Returns
    -------
    int
        0 when no criterion refuses it, 1 otherwise; the other way round for what was spoilt on purpose.
    """
    sabotage, spoil = Sabotage(args.sabotage), Spoil(args.spoil)
    scan = sabotage_scan(open_scan(args.scan, DataKind(args.kind) if args.kind else None), sabotage)
    folder = Path(args.out)
    with Progress(sys.stderr) as progress:
        progress.line(f"{scan.name}: scoring")
        halves = _load_halves(args.half_a, args.half_b, spoil)
        refit = _load(args.all, spoil) if args.all else None
        evaluation = measure(scan, _load(args.train, spoil), halves, refit, star=args.star)
        metrics = summarise(evaluation, spoil)
        folder.mkdir(parents=True, exist_ok=True)
        text = render_metrics(metrics)
        (folder / METRICS_FILE).write_text(text, encoding="utf-8")
        if not args.scores_only:
            progress.line(f"{scan.name}: drawing")
            _write_page(evaluation, metrics, folder)
            _write_result(evaluation, folder)
    sys.stdout.write(text if args.json else _render_verdicts(metrics))
    wanted = sabotage is Sabotage.NONE and spoil is Spoil.NONE
    return 0 if metrics.passed is wanted else 1


def _load(folder: str, spoil: Spoil) -> Reconstruction:
    """Return the reconstruction in a folder that `ptycho reconstruct` wrote."""
    return spoil_result(load_reconstruction(Path(folder) / RECONSTRUCTION_FILE), spoil)


def _load_halves(first: str | None, second: str | None, spoil: Spoil) -> tuple[Reconstruction, Reconstruction] | None:
    """Return both halves, or None when neither is named."""
    if first is None and second is None:
        return None
    if first is None or second is None:
        raise ConfigError("--half-a and --half-b: expected both or neither, found one; name the other half too")
    return _load(first, spoil), _load(second, spoil)


def _write_page(evaluation: Evaluation, metrics: Metrics, folder: Path) -> None:
    """Write figures, their sizes and the summary that shows them."""
    sizes = draw_figures(evaluation, folder)
    (folder / FIGURES_FILE).write_text(json.dumps(sizes, indent=2) + "\n", encoding="utf-8")
    (folder / PAGE_FILE).write_text(render_page(metrics, sizes), encoding="utf-8")


def _write_result(evaluation: Evaluation, folder: Path) -> None:
    """Write object and probe in their gauge, of all frames where these were reconstructed too."""
    refit, source = evaluation.refit, evaluation.reconstruction
    gauged = evaluation.gauged
    if refit is not None:
        gauged, source = refit.gauged, refit.reconstruction
    result = replace(
        source,
        object=gauged.image.object.astype(np.complex64),
        probe=gauged.probe.astype(np.complex64),
        origin=gauged.image.origin,
        coverage=gauged.coverage.astype(np.float32),
        options={**source.options, "gauge": "median amplitude 1, mean phase 0, no ramp, probe centred"},
    )
    save_reconstruction(folder / RESULT_FILE, result)


def _render_verdicts(metrics: Metrics) -> str:
    """Return one line a criterion, and the verdict."""
    lines = []
    for criterion in CRITERIA:
        result = metrics.criteria[criterion.name]
        if result.passed is None:
            lines.append(f"-        {criterion.metric} does not apply\n")
            continue
        value = "undefined" if result.value is None else f"{result.value:.4g}"
        mark = "met    " if result.passed else "NOT MET"
        lines.append(f"{mark}  {criterion.metric} = {value}, needed {result.comparison} {result.threshold:g}\n")
    failed = [name for name, result in metrics.criteria.items() if result.passed is False]
    return "".join(lines) + (f"refused: {', '.join(failed)}\n" if failed else "all criteria met\n")
