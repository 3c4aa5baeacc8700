"""`stop`: ask the loop of this repository to end after the turn under way."""

from __future__ import annotations

import argparse
import sys

from orchestrator.arguments import add_workspace, open_workspace
from orchestrator.lock import is_held

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_workspace(parser)


def run(arguments: argparse.Namespace) -> int:
    """Leave the request where the loop looks for it."""
    workspace = open_workspace(arguments)
    if not is_held(workspace.lock_path):
        sys.stdout.write("no loop is running on this repository; nothing to stop\n")
        return 0
    workspace.stop_path.touch()
    sys.stdout.write("asked; the loop ends after the turn under way, and the next start goes on from there\n")
    return 0
