"""`status`: the plan's items, what can run, and the turn under way."""

from __future__ import annotations

import argparse
import json
import sys

from orchestrator.arguments import add_workspace, open_workspace
from orchestrator.config import resolve_config
from orchestrator.report.status import make_status, status_lines

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_workspace(parser)
    parser.add_argument("--priority", metavar="LEVEL", help="count items of this priority and above as runnable")


def run(arguments: argparse.Namespace) -> int:
    """Print the status."""
    workspace = open_workspace(arguments)
    config = resolve_config(workspace.root, {"priority": arguments.priority})
    status = make_status(workspace, config)
    sys.stdout.write(json.dumps(status, indent=1) + "\n" if arguments.json else "\n".join(status_lines(status)) + "\n")
    return 0
