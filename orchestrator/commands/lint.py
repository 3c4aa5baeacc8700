"""`lint`: the documents of a working tree against the rules that need no run."""

from __future__ import annotations

import argparse
import json
import sys

from orchestrator.arguments import add_workspace, open_workspace
from orchestrator.config import resolve_config
from orchestrator.lint import lint
from orchestrator.policy.rules import Severity, render_rules
from orchestrator.records.text import counted

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Hold the documents of a working tree against the rules that need no run. Exit code 1 when one is broken "
        "that the loop would not only report."
    )
    add_workspace(parser)
    parser.add_argument("--rules", action="store_true", help="print the page of all rules instead")


def run(arguments: argparse.Namespace) -> int:
    """Print the breaches, the hardest kind deciding the exit code."""
    if arguments.rules:
        sys.stdout.write(render_rules())
        return 0
    workspace = open_workspace(arguments)
    config = resolve_config(workspace.root, {})
    found = [(config.rulebook.severity(each.rule), each) for each in lint(workspace.root, config)]
    found = [(severity, each) for severity, each in found if severity is not Severity.OFF]
    if arguments.json:
        fields = [
            {"rule": each.rule.id, "severity": severity, "where": each.where, "found": each.found}
            | {"cure": each.rule.cure}
            for severity, each in found
        ]
        sys.stdout.write(json.dumps(fields, indent=1, ensure_ascii=False) + "\n")
    else:
        for severity, each in found:
            sys.stdout.write(f"{severity}: {each.text}\n")
        sys.stdout.write(f"broken in {counted(len(found), 'place')}\n" if found else "every rule holds\n")
    return int(any(severity is not Severity.REPORT for severity, _ in found))
