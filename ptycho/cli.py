"""The command line: flags of every subcommand; only the one that is called is imported.

Exit codes: 0 done, 1 expected failure (no network, a wrong file, a criterion not met), 2 usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

from ptycho import __version__
from ptycho.errors import DependencyError, PtychoError

__all__ = ["main"]

DATA_SETS = "siemens-star, position-error, position-error-true"  # ptycho.data.catalog needs more than --help may load

EPILOG = """\
exit codes: 0 done · 1 expected failure (no network, a wrong file, a criterion not met) · 2 usage ·
130 interrupted. Results go to stdout (--json for machines), progress to stderr.
environment: PTYCHO_CACHE names the folder of fetched data sets."""


@dataclass(frozen=True)
class Command:
    """One subcommand: its flags are known here, its module is imported when it runs."""

    name: str
    module: str
    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="ptycho",
        description="Ptychography: fetch and simulate scans, reconstruct them, and prove the result.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ptycho {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.name, help=command.summary, description=command.summary, allow_abbrev=False
        )
        command.add_arguments(subparser)
        subparser.set_defaults(module=command.module)
    args = parser.parse_args(argv)
    try:
        code: int = _load(args.module).run(args)
    except PtychoError as error:
        sys.stderr.write(f"ptycho {args.command}: {error}\n")
        return error.exit_code
    except OSError as error:  # a full disk, a folder that is a file
        sys.stderr.write(f"ptycho {args.command}: {error}\n")
        return PtychoError.exit_code
    except KeyboardInterrupt:
        sys.stderr.write(f"ptycho {args.command}: interrupted\n")
        return 130
    return code


def _load(module: str) -> ModuleType:
    """Import the module of a subcommand; a package that it lacks is an expected failure."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "ptycho":
            raise
        raise DependencyError(
            f"expected the package {error.name!r} to be installed in {sys.executable}; install this project "
            "first: pip install ."
        ) from error


def _add_scan(parser: argparse.ArgumentParser) -> None:
    """Add what names a scan."""
    parser.add_argument("scan", metavar="NAME|FILE", help=f"a fetched data set ({DATA_SETS}), or an .npz file")
    parser.add_argument(
        "--kind",
        choices=("counts", "intensity", "amplitude"),
        help="what the numbers of a published .npz file are, unless they are whole numbers (counts)",
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_frames(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --frames."""
    parser.add_argument(
        "--frames",
        choices=("all", "train", "half-a", "half-b"),
        default=default,
        help=f"train leaves out the held-out frames; the halves share the training frames ({default})",
    )


def _add_sabotage(parser: argparse.ArgumentParser, summary: str) -> None:
    """Add --sabotage."""
    parser.add_argument("--sabotage", choices=("none", "shuffled", "transposed", "noise"), default="none", help=summary)


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=f"the data set: {DATA_SETS}")
    parser.add_argument(
        "--archive", metavar="FILE", help="its source archive, carried here by hand: no network is used"
    )
    _add_json(parser)


def _add_info(parser: argparse.ArgumentParser) -> None:
    _add_scan(parser)
    parser.add_argument(
        "--trial", action="store_true", help="find the conventions by trial reconstructions (some seconds)"
    )
    parser.add_argument("--out", metavar="FILE", help="write the result there too, as JSON")
    _add_json(parser)


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="FILE", required=True, help="the .npz file to write")
    parser.add_argument("--seed", type=int, default=0, help="of positions, amplitude and counts (0)")
    parser.add_argument("--dose", type=float, default=4.6e5, help="mean photons a frame (4.6e5)")
    parser.add_argument("--grid", metavar="ROWSxCOLUMNS", default="22x23", help="scan points (22x23)")
    parser.add_argument("--frame-px", type=int, default=128, help="size of a frame in pixels (128)")
    parser.add_argument("--object", choices=("star", "shapes"), default="star", help="what lies in the beam (star)")
    parser.add_argument("--modes", type=int, choices=(1, 2), default=2, help="of the beam (2)")
    parser.add_argument("--known-probe", action="store_true", help="write the beam itself, not a guess of it")
    parser.add_argument("--step-px", type=float, default=11.0, help="distance of scan points in pixels (11)")
    _add_json(parser)


def _add_reconstruct(parser: argparse.ArgumentParser) -> None:
    _add_scan(parser)
    parser.add_argument("--out", metavar="DIR", required=True, help="gets reconstruction.npz and run.json")
    _add_frames(parser, "all")
    parser.add_argument("--epochs", type=int, default=30, help="passes over the frames (30)")
    parser.add_argument("--modes", type=int, default=2, help="modes of the probe (2)")
    parser.add_argument("--seed", type=int, default=0, help="of the random start; sets of frames never share one (0)")
    parser.add_argument("--threads", type=int, default=2, help="the result does not depend on it (2)")
    parser.add_argument(
        "--refine-positions", action="store_true", help="let every frame move to where it fits best, by up to 16 px"
    )
    _add_sabotage(parser, "make the scan wrong on purpose, to see the scores refuse it (none)")
    _add_json(parser)


def _add_framework(parser: argparse.ArgumentParser) -> None:
    """Add what a network runs on."""
    parser.add_argument("--framework", choices=("torch", "tensorflow"), default="torch", help="(torch)")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto takes CUDA where there is one (auto)"
    )


def _add_train(parser: argparse.ArgumentParser) -> None:
    _add_scan(parser)
    parser.add_argument("--out", metavar="DIR", required=True, help="gets bundle.zip, history.json and training.png")
    _add_frames(parser, "train")
    parser.add_argument(
        "--network",
        choices=("pinn", "supervised"),
        default="pinn",
        help="pinn learns from diffraction alone, supervised from a known object (pinn)",
    )
    parser.add_argument("--gridsize", type=int, default=2, help="a group has its square of frames (2)")
    parser.add_argument("--loss", choices=("amplitude", "poisson"), default="amplitude", help="(amplitude)")
    parser.add_argument(
        "--probe", metavar="DIR", help="what reconstruct wrote: take its probe in place of the scan's guess"
    )
    parser.add_argument("--epochs", type=int, default=60, help="passes over the frames, at most (60)")
    parser.add_argument("--seconds", type=float, help="stop when they are used up; the learning rate falls in time")
    parser.add_argument("--patience", type=int, help="stop after as many epochs without a better validation loss")
    parser.add_argument("--seed", type=int, default=0, help="of groups, first weights and order (0)")
    parser.add_argument(
        "--resume", action="store_true", help="go on after the last whole epoch of a training that was cut short"
    )
    _add_framework(parser)
    _add_json(parser)


def _add_infer(parser: argparse.ArgumentParser) -> None:
    _add_scan(parser)
    parser.add_argument("--model", metavar="DIR|FILE", required=True, help="what train wrote")
    parser.add_argument("--out", metavar="DIR", required=True, help="gets reconstruction.npz, run.json and object.png")
    _add_frames(parser, "all")
    parser.add_argument(
        "--chunk", type=int, default=32, help="groups predicted at a time; the result does not depend on it (32)"
    )
    parser.add_argument(
        "--sparse", action="store_true", help="predict only so many groups that every frame is in one: faster"
    )
    _add_sabotage(parser, "make the scan wrong on purpose, to see the scores refuse it (none)")
    _add_framework(parser)
    _add_json(parser)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    _add_scan(parser)
    parser.add_argument(
        "--train", metavar="DIR", required=True, help="what reconstruct or infer wrote of --frames train"
    )
    parser.add_argument("--half-a", metavar="DIR", help="what reconstruct --frames half-a wrote")
    parser.add_argument("--half-b", metavar="DIR", help="what reconstruct --frames half-b wrote")
    parser.add_argument("--all", metavar="DIR", help="what reconstruct --frames all wrote: the result to use")
    parser.add_argument("--star", action="store_true", help="the object is a star: its spokes are a criterion too")
    parser.add_argument(
        "--out", metavar="DIR", required=True, help="gets metrics.json, figures, summary.md and result.npz"
    )
    parser.add_argument("--scores-only", action="store_true", help="write metrics.json only")
    _add_sabotage(parser, "as given to reconstruct: done when a criterion refuses the result (none)")
    parser.add_argument(
        "--spoil",
        choices=("none", "blurred", "noisy"),
        default="none",
        help="make the results worse on purpose: done when a criterion refuses them (none)",
    )
    _add_json(parser)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    _add_scan(parser)
    parser.add_argument("--result", metavar="DIR", required=True, help="what infer or reconstruct wrote of train")
    parser.add_argument("--reference", metavar="DIR", required=True, help="the same of what it is compared with")
    parser.add_argument("--result-title", default="result", help="its name in the picture (result)")
    parser.add_argument("--reference-title", default="reference", help="its name in the picture (reference)")
    parser.add_argument("--star", action="store_true", help="the object is a star: measure its spokes too")
    parser.add_argument("--out", metavar="DIR", required=True, help="gets comparison.json and comparison.png")
    _add_json(parser)


COMMANDS = (
    Command("fetch", "ptycho.commands.fetch", "bring a data set into the cache", _add_fetch),
    Command("info", "ptycho.commands.info", "say what a scan holds and how it was read", _add_info),
    Command("simulate", "ptycho.commands.simulate", "make a scan with a known object", _add_simulate),
    Command("reconstruct", "ptycho.commands.reconstruct", "find object and probe", _add_reconstruct),
    Command("train", "ptycho.commands.train", "train a network on a scan", _add_train),
    Command("infer", "ptycho.commands.infer", "find object and probe by a trained network", _add_infer),
    Command("evaluate", "ptycho.commands.evaluate", "score a reconstruction, draw it, judge it", _add_evaluate),
    Command("compare", "ptycho.commands.compare", "put two results of one scan side by side", _add_compare),
)
