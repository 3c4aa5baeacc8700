"""The second experimental scan under the thresholds of the first: positions as given and refined, full and thinned.

Beside it the first, refined, and a simulated scan whose right positions are refined as if they were wrong.

    python -m ptycho fetch position-error
    python benchmarks/second_scan.py --out benchmarks/results [--cases NAME ...]

Each case reconstructs training frames and both halves and is judged as `python -m ptycho evaluate` does it. Thinned:
each photon kept with one probability, which gives Poisson counts at the dose for which the thresholds were set.
Added errors are normal and independent, along both axes. A second call does only what is missing.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ptycho.data import FrameSet, Scan, select_frames
from ptycho.data.catalog import open_scan
from ptycho.data.sabotage import Sabotage, sabotage_scan
from ptycho.data.simulation import Simulation, simulate
from ptycho.metrics.measure import measure
from ptycho.metrics.summarise import summarise
from ptycho.reconstruction import Reconstruction
from ptycho.solvers import RPIEOptions, reconstruct

STAR_DOSE = 4.6e5
SIMULATED = Simulation(rows=14, columns=14, frame_px=32, step_px=3.0, dose=3e4, spokes=8)
RESULTS, TABLE = "second_scan.json", "second_scan.md"


@dataclass(frozen=True)
class Case:
    """One way to treat the scan: how it is opened and made worse, and how it is reconstructed."""

    scan: str = "position-error-true"
    refine: bool = True
    modes: int = 3
    epochs: int = 20
    thinned: bool = False
    added_px: float = 0.0
    shuffled: bool = False


CASES = {
    "as given": Case(refine=False),
    "refined": Case(),
    "refined, 6 modes, 40 epochs": Case(modes=6, epochs=40),
    "as given, thinned": Case(refine=False, thinned=True),
    "refined, thinned": Case(thinned=True),
    "refined, 6 modes, 40 epochs, thinned": Case(modes=6, epochs=40, thinned=True),
    "2.8 px added, as they are": Case(refine=False, added_px=2.0),
    "2.8 px added, refined": Case(added_px=2.0),
    "5.7 px added, refined, 40 epochs": Case(added_px=4.0, epochs=40),
    "measured positions, refined, 40 epochs": Case(scan="position-error", epochs=40),
    "shuffled, refined": Case(shuffled=True),
    "star, as given": Case(scan="siemens-star", refine=False, modes=2),
    "star, refined": Case(scan="siemens-star", modes=2),
    "simulated, refined, 25 epochs": Case(scan="simulated", modes=2, epochs=25),
    "simulated, refined, 60 epochs": Case(scan="simulated", modes=2, epochs=60),
}
COLUMNS = {
    "held_out": "held-out error / expectation",
    "deviance": "deviance / expectation",
    "gain": "gain",
    "half_sets": "half-bit, cycles/px",
    "half_sets_held_out": "deviance, worse half",
}


def main() -> int:
    """Do what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=list(CASES))
    args = parser.parse_args()
    path = args.out / RESULTS
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for name in args.cases:
        if results.get(name, {}).get("case") == asdict(CASES[name]):
            continue
        results[name] = score(CASES[name])
        results = {key: results[key] for key in CASES if key in results}
        path.write_text(json.dumps(results, indent=1) + "\n")
        (args.out / TABLE).write_text(render(results))
        print(name, results[name], flush=True)
    return 0


def open_case(case: Case) -> Scan:
    """Return the scan of a case."""
    scan = simulate(SIMULATED) if case.scan == "simulated" else open_scan(case.scan)
    rng = np.random.default_rng(0)
    if case.added_px:
        moved = scan.probe_positions + case.added_px * rng.standard_normal(scan.probe_positions.shape)
        scan = replace(scan, probe_positions=moved)
    if case.thinned:
        dose = scan.photons_per_frame
        if dose is None:
            raise ValueError(f"{scan.name} holds no counts")
        kept = rng.binomial(np.round(scan.diffraction).astype(np.int64), STAR_DOSE / dose)
        scan = replace(scan, diffraction=kept.astype(np.float32))
    return sabotage_scan(scan, Sabotage.SHUFFLED if case.shuffled else Sabotage.NONE)


def score(case: Case) -> dict[str, Any]:
    """Reconstruct what the criteria need, and return their values with how far positions went."""
    scan = open_case(case)
    began = time.process_time()
    results: list[Reconstruction] = []
    for seed, which in enumerate((FrameSet.TRAIN, FrameSet.HALF_A, FrameSet.HALF_B)):
        options = RPIEOptions(epochs=case.epochs, modes=case.modes, seed=seed, threads=1, refine_positions=case.refine)
        results.append(reconstruct(scan, select_frames(scan, which), options))
    train, *halves = results
    metrics = summarise(measure(scan, train, (halves[0], halves[1])))
    return {
        "case": asdict(case),
        "criteria": {name: metrics.criteria[name].value for name in COLUMNS},
        "passed": {name: metrics.criteria[name].passed for name in COLUMNS},
        "fourier_error": metrics.fidelity.train.fourier_error,
        "held_out_fourier_error": metrics.fidelity.held_out.fourier_error,
        "floor": metrics.fidelity.held_out.fourier_error_expected,
        "positions": None if metrics.positions is None else asdict(metrics.positions),
        "from_true_rms_px": find_distance(scan, train, case),
        "processor_seconds": round(time.process_time() - began),
    }


def find_distance(scan: Scan, found: Reconstruction, case: Case) -> float | None:
    """Return how far positions lie from those the file calls true, root mean square, whatever their joint shift."""
    if scan.positions_truth is None or case.shuffled:
        return None
    apart = found.probe_positions - scan.positions_truth[found.frames]
    return float(np.sqrt(np.square(apart - apart.mean(axis=0)).sum(axis=1).mean()))


def render(results: dict[str, Any]) -> str:
    """Return the table; what a criterion refuses is bold."""
    lines = [
        "Bold: refused. Moved and from true: root mean square in px; stretch: of the scan, by the moves. Held-out "
        "frames of refined results are placed by one half of their pixels and scored on the other.",
        "",
        f"| case | {' | '.join(COLUMNS.values())} | R fitted | R held out | its floor | moved | stretch y, x "
        "| from true |",
        "|" + "---|" * (len(COLUMNS) + 7),
    ]
    for name, result in results.items():
        values = [
            f"{value:.3g}" if result["passed"][key] else f"**{value:.3g}**" for key, value in result["criteria"].items()
        ]
        values += [f"{result[key]:.4f}" for key in ("fourier_error", "held_out_fourier_error", "floor")]
        moves, apart = result["positions"], result["from_true_rms_px"]
        stretch = "" if moves is None else f"{moves['stretch_y']:+.1%}, {moves['stretch_x']:+.1%}"
        values += [
            "" if moves is None else f"{moves['moved_rms_px']:.2f}",
            stretch,
            "" if apart is None else f"{apart:.2f}",
        ]
        lines.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
