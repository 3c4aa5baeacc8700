"""Our solver beside its peers: one scan, one split, one run; every result scored by `ptycho.metrics`.

Every solver runs in a process of its own on the same frames, from the same first guess; see README.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

from ptycho.data import FrameSet, Scan, select_frames
from ptycho.data.catalog import open_scan
from ptycho.errors import PtychoError
from ptycho.metrics.frc import find_crossing
from ptycho.metrics.measure import Evaluation, measure
from ptycho.physics import make_canvas
from ptycho.solvers import Reconstruction

__all__ = ["main"]

RUNNERS = Path(__file__).parent / "peer_runs"
SETS = (FrameSet.TRAIN, FrameSet.HALF_A, FrameSet.HALF_B)  # each solved from its own random start
THREADS = 2
EXTRA_MODE_POWER = 0.02
RIM = 24  # pixels put around an object: unseen frames may reach a little beyond the seen ones
ENVIRONMENT = {  # threads that spin while they wait slow each other down tenfold on a busy machine
    "OMP_WAIT_POLICY": "PASSIVE",
    "OMP_NUM_THREADS": str(THREADS),
    "MKL_NUM_THREADS": str(THREADS),
    "OPENBLAS_NUM_THREADS": str(THREADS),
    "MPLBACKEND": "Agg",
}
PACKAGES = {"ptylab": "ptylab", "pty-chi": "ptychi", "cdtools": "cdtools-py"}


@dataclass(frozen=True)
class Entry:
    """One line of the table: a solver, its method, how long it runs, and with how many probe modes."""

    solver: str
    method: str
    epochs: int
    modes: int = 2

    @property
    def runner(self) -> Path:
        """The program that solves a task with it."""
        return RUNNERS / f"run_{self.solver.replace('-', '_')}.py"


@dataclass(frozen=True)
class Row:
    """What was measured of an entry, or why nothing was.

    Attributes
    ----------
    entry
        What ran.
    seconds, seconds_per_epoch, processor_seconds_per_epoch
        Wall time of the training run, the median over its epochs, and the processor's mean over them.
    own_r
        R as the solver itself reports it, to check the conversion; NaN where it reports another error.
    train_r, held_out_r
        R = Σ(√k − √λ)² / Σk on the training and the held-out frames.
    held_out_over_expected, held_out_deviance
        Error and deviance of the held-out frames over their Poisson expectation.
    frc_half_bit, frc_at_least_nyquist
        Where the correlation of the halves falls below half a bit, in cycles per pixel; True when it never does.
    error
        Why nothing was measured.
    """

    entry: Entry
    seconds: float = math.nan
    seconds_per_epoch: float = math.nan
    processor_seconds_per_epoch: float = math.nan
    own_r: float = math.nan
    train_r: float = math.nan
    held_out_r: float = math.nan
    held_out_over_expected: float = math.nan
    held_out_deviance: float = math.nan
    frc_half_bit: float = math.nan
    frc_at_least_nyquist: bool = False
    error: str = ""


ENTRIES = (
    Entry("ptycho", "rPIE", 10),
    Entry("ptycho", "rPIE", 30),
    Entry("ptycho", "rPIE", 60),
    Entry("ptylab", "mPIE", 20),
    Entry("ptylab", "ePIE", 20),
    Entry("ptylab", "ePIE", 60),
    Entry("pty-chi", "LSQML", 20),
    Entry("pty-chi", "LSQML", 60),
    Entry("cdtools", "Adam", 20),
    Entry("cdtools", "Adam", 60),
)


def main() -> None:
    """Run the entries that the command line asks for, print the table, and write it with --out."""
    args = _parse()
    scan = open_scan(args.scan)
    rows = []
    for entry in ENTRIES:
        if entry.solver not in ("ptycho", *args.peers):
            continue
        asked = replace(entry, epochs=args.epochs or entry.epochs)
        rows.append(_run(asked, scan, sys.executable if asked.solver == "ptycho" else args.python, args.seconds))
        print(_cells(rows[-1]), file=sys.stderr, flush=True)
    machine = _machine(args.python, args.peers)
    text = f"{_table(rows)}\n\n{_describe(machine, scan)}\n"
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "peers.md").write_text(text, encoding="utf-8")
        record = {"scan": scan.name, "machine": machine, "rows": [_record(row) for row in rows]}
        (args.out / "peers.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _parse() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peers",
        type=lambda text: text.split(","),
        default=list(PACKAGES),
        help=f"some of {','.join(PACKAGES)}; ours always runs",
    )
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment with the peers")
    parser.add_argument("--scan", default="siemens-star", help="name or .npz file (default: %(default)s)")
    parser.add_argument("--epochs", type=int, help="the same for all entries, for a quick look")
    parser.add_argument("--seconds", type=float, default=900, help="limit of one solver run (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="folder for peers.md and peers.json")
    args = parser.parse_args()
    if unknown := sorted(set(args.peers) - set(PACKAGES)):
        parser.error(f"--peers: expected some of {', '.join(PACKAGES)}, found {', '.join(unknown)}")
    if shutil.which(args.python) is None:
        parser.error(f"--python: expected an interpreter, found {args.python}")
    return args


def _run(entry: Entry, scan: Scan, python: str, limit: float) -> Row:
    """Solve all frame sets with one entry and score them; a solver that fails is a row that says so."""
    found: dict[FrameSet, Reconstruction] = {}
    told: dict[FrameSet, dict[str, NDArray[np.float64]]] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="peers-") as scratch:
            for seed, which in enumerate(SETS):
                frames = select_frames(scan, which)
                task, answer = Path(scratch) / "task.npz", Path(scratch) / "answer.npz"
                _write_task(task, scan.select(frames), entry, seed)
                _solve([python, str(entry.runner), str(task), str(answer)], limit)
                with np.load(answer, allow_pickle=False) as file:
                    found[which] = _reconstruction(scan, frames, file)
                    told[which] = {name: file[name] for name in ("epoch_seconds", "processor_seconds", "own_error")}
        evaluation = measure(scan, found[FrameSet.TRAIN], (found[FrameSet.HALF_A], found[FrameSet.HALF_B]))
    except PtychoError as error:
        return Row(entry, error=str(error))
    return _row(entry, evaluation, told[FrameSet.TRAIN])


def _write_task(path: Path, scan: Scan, entry: Entry, seed: int) -> None:
    """Write what a runner reads: `Task` of peer_runs/exchange.py."""
    canvas = make_canvas(scan.probe_positions, scan.frame_shape, margin=2)
    np.savez(
        path,
        allow_pickle=False,
        diffraction=scan.diffraction,
        positions=scan.probe_positions,
        probe=_first_modes(scan.probe, entry.modes),
        canvas_shape=np.array(canvas.shape),
        canvas_origin=canvas.origin,
        method=entry.method,
        epochs=entry.epochs,
        seed=seed,
    )


def _first_modes(probe: NDArray[np.complex64], modes: int) -> NDArray[np.complex64]:
    """Return the first guess of a probe; modes it lacks are its first one, weak and turned by a slope."""
    slopes = np.meshgrid(*(np.linspace(-1, 1, size) for size in probe.shape[1:]), indexing="ij")
    extra = [probe[0] * slopes[index % 2] ** (1 + index // 2) for index in range(modes - len(probe))]
    power = EXTRA_MODE_POWER * np.square(np.abs(probe[0])).sum()
    extra = [mode * np.sqrt(power / np.square(np.abs(mode)).sum()) for mode in extra]
    return np.stack([*probe[:modes], *extra]).astype(np.complex64)


def _solve(command: list[str], limit: float) -> None:
    """Run one solver process.

    Raises
    ------
    PtychoError
        With the last line the process wrote, when it failed or took too long.
    """
    environment = {**os.environ, **ENVIRONMENT}
    try:
        subprocess.run(command, env=environment, check=True, timeout=limit, capture_output=True, text=True)
    except subprocess.TimeoutExpired as error:
        raise PtychoError(f"not done after {limit:.0f} s") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"ended with {error.returncode}"]
        raise PtychoError(lines[-1]) from error


def _reconstruction(scan: Scan, frames: NDArray[np.int64], file: Mapping[str, NDArray[np.generic]]) -> Reconstruction:
    """Return a runner's answer as the record that the scores take."""
    obj = np.pad(file["object"], RIM, mode="edge")
    return Reconstruction(
        object=obj,
        probe=file["probe"],
        origin=file["origin"] - RIM,
        probe_positions=scan.probe_positions[frames],
        frames=frames,
        coverage=np.zeros(obj.shape, np.float32),  # no score reads it
    )


def _row(entry: Entry, evaluation: Evaluation, told: Mapping[str, NDArray[np.float64]]) -> Row:
    """Return the figures of one entry."""
    held_out, halves = evaluation.held_out.scores, evaluation.half_sets
    crossing = find_crossing(halves.curve, halves.half_bit)
    return Row(
        entry=entry,
        seconds=float(told["epoch_seconds"].sum()),
        seconds_per_epoch=float(np.median(told["epoch_seconds"])),
        processor_seconds_per_epoch=float(told["processor_seconds"]) / entry.epochs,
        own_r=float(told["own_error"]),
        train_r=evaluation.train.scores.fourier_error,
        held_out_r=held_out.fourier_error,
        held_out_over_expected=held_out.error_over_expected,
        held_out_deviance=held_out.deviance_over_expected,
        frc_half_bit=crossing.frequency,
        frc_at_least_nyquist=crossing.at_least_nyquist,
    )


def _table(rows: list[Row]) -> str:
    """Return the rows as a markdown table."""
    titles = (
        "solver, method",
        "modes",
        "epochs",
        "time s",
        "s/epoch",
        "processor s/epoch",
        "train R",
        "held-out R",
        "held-out error / Poisson",
        "held-out deviance / Poisson",
        "half-set FRC, cycles/px",
    )
    return "\n".join([f"| {' | '.join(titles)} |", "|---" * len(titles) + "|", *map(_cells, rows)])


def _cells(row: Row) -> str:
    """Return one line of the table."""
    entry = row.entry
    head = f"| {entry.solver} {entry.method} | {entry.modes} | {entry.epochs} |"
    if row.error:
        return f"{head} error: {row.error} |" + " |" * 7
    bound = "≥ " if row.frc_at_least_nyquist else ""
    return (
        f"{head} {row.seconds:.1f} | {row.seconds_per_epoch:.3f} | {row.processor_seconds_per_epoch:.3f} "
        f"| {row.train_r:.5f} | {row.held_out_r:.5f} "
        f"| {row.held_out_over_expected:.3f} | {row.held_out_deviance:.3f} | {bound}{row.frc_half_bit:.3f} |"
    )


def _record(row: Row) -> dict[str, object]:
    """Return a row as JSON values; what was not measured is null."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value for name, value in asdict(row).items()
    }


def _machine(python: str, peers: list[str]) -> dict[str, str]:
    """Return cores and versions; the peers' are told by their own environment."""
    names = ["numpy", "torch", *(PACKAGES[peer] for peer in peers)]
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    told = subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=False).stdout.split()
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cores": str(os.cpu_count()),
        "threads": str(THREADS),
        "load": f"{os.getloadavg()[2]:.1f}",
        "numpy (ours)": np.__version__,
        "scipy (ours)": scipy.__version__,
        **{f"{name} (peers)": version for name, version in zip(names, told, strict=False)},
    }


def _describe(machine: Mapping[str, str], scan: Scan) -> str:
    """Return the note under the table."""
    told = ", ".join(f"{name} {value}" for name, value in machine.items())
    return (
        f"{scan.name}, {scan.n_frames} frames of {scan.frame_shape[0]}×{scan.frame_shape[1]}; one run: {told}. "
        "Time is that of the training run without imports; s/epoch is the median; processor time says what an epoch "
        "costs when others use the cores too. Errors are scored with one intensity factor a frame, for training and "
        "held-out frames alike; 1 is what counting photons leaves."
    )


if __name__ == "__main__":
    main()
