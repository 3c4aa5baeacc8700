"""`report`: static pages of a run, for reading in a browser without any network."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from orchestrator.arguments import add_workspace, open_workspace
from orchestrator.config import resolve_config
from orchestrator.errors import ExitCode
from orchestrator.journal import read_journal
from orchestrator.report.account import make_pages
from orchestrator.report.pages import write_pages

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder, or an earlier report")
    parser.add_argument("--run", metavar="NAME", help="which run (default: the last)")
    add_workspace(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the pages and say where they are."""
    workspace = open_workspace(arguments)
    config, events = resolve_config(workspace.root, {}), read_journal(workspace.journal_path)
    faults: list[str] = []
    with workspace.git.keeping_reader() as git:
        pages = make_pages(replace(workspace, git=git), config, events, arguments.run, sys.stderr.write, faults)
        count = write_pages(arguments.out, pages)
    index = str(arguments.out.resolve() / "index.html")
    for fault in faults:
        sys.stderr.write(f"orchestrator: not made: {fault}\n")
    told = {"index": index, "files": count, "faults": faults}
    sys.stdout.write((json.dumps(told) if arguments.json else index) + "\n")
    return int(ExitCode.FAILURE if faults else ExitCode.DONE)
