"""Command line of the harness beside the loop: ``python -m orchestrator <command>``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from orchestrator.errors import OrchestratorError
from orchestrator.policy.ending import ExitCode
from orchestrator.report.bug import report_bug

__all__ = ["main"]

_COMMANDS = {
    "status": "the plan's items, what can run, and the turn under way",
    "show": "the run's memory, handoff, ledger, hub or turn",
    "parse": "read one of the loop's documents and report what is wrong with it",
    "stop": "ask the loop to end after the turn under way",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator",
        description="Look at a loop and steer it. The loop itself is `python -m orchestrator.loop`.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in _COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)
        importlib.import_module(f"orchestrator.commands.{name}").add_arguments(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return int(importlib.import_module(f"orchestrator.commands.{arguments.command}").run(arguments))
    except OrchestratorError as error:
        sys.stderr.write(f"orchestrator: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        return int(ExitCode.FAILURE)
    except ModuleNotFoundError as error:
        sys.stderr.write(f"orchestrator: {error.name} is not installed; `make loop` or `pip install .` installs it\n")
        return int(ExitCode.USAGE)
    except Exception as error:  # noqa: BLE001 -- the last resort: keep what is known and name where
        sys.stderr.write(f"orchestrator: this is a bug, kept in {report_bug(error)}\n")
        return int(ExitCode.BUG)
