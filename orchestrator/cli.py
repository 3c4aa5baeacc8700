"""Command line of the harness beside the loop: ``python -m orchestrator <command>``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from orchestrator.report.bug import guarded

__all__ = ["main"]

_COMMANDS = {
    "init": "make a git repository a workspace of the loop",
    "status": "the plan's items, what can run, and the turn under way",
    "show": "the run's memory, handoff, ledger, hub or turn",
    "report": "write static pages of a run: what happened, and the evidence for it",
    "audit": "hold the claims in documents against hubs and repository",
    "parse": "read one of the loop's documents and report what is wrong with it",
    "lint": "hold the documents of a working tree against the rules that need no run",
    "stop": "ask the loop to end after the turn under way",
    "pause": "hold the loop after the turn under way; --off lets it go on",
    "block": "take an item out of the loop's reach, with a reason",
    "clear": "set the dwell of a blocked item to 0 and let work on it go on",
    "reopen": "let work go on with an item that is blocked, waiting or done",
    "prioritise": "give an item another priority",
    "raise-budget": "give the loop that runs more iterations or minutes",
    "doctor": "everything that can be wrong before a start or after a crash",
    "prune": "free what no run needs any more",
    "approve": "let an item's criteria, as your last commit has them, hold for the run",
}
_STEERING = frozenset({"stop", "pause", "block", "clear", "reopen", "prioritise", "raise-budget"})


def _module(name: str) -> Any:  # noqa: ANN401 -- a module is its own interface: add_arguments and run
    return importlib.import_module(f"orchestrator.commands.{'steer' if name in _STEERING else name}")


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator",
        description="Look at a loop and steer it. The loop itself is `python -m orchestrator.loop`.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in _COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)
        if name in words:  # the others need not be loaded
            _module(name).add_arguments(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = sys.argv[1:] if argv is None else argv
    arguments = _parser(words).parse_args(words)
    return guarded(lambda: int(_module(arguments.command).run(arguments)))
