"""Command line of the harness beside the loop: ``python -m orchestrator <command>``."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

from orchestrator.report.bug import guarded

__all__ = ["main"]

_COMMANDS = {
    "init": "make a git repository a workspace of the loop",
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
    command = importlib.import_module(f"orchestrator.commands.{arguments.command}")
    return guarded(lambda: int(command.run(arguments)))
