"""`approve`: a person's changed criteria of an item, shown as a diff, hold for the run from its next turn on."""

from __future__ import annotations

import argparse
import sys

from orchestrator.approval import approved_paths
from orchestrator.arguments import add_workspace
from orchestrator.commands.steer import ask, find_loop
from orchestrator.errors import ConfigError
from orchestrator.evidence.criteria import evaluator_paths, freeze
from orchestrator.layout import LEDGER, plan_path
from orchestrator.records.ledger import parse_ledger
from orchestrator.records.plan import parse_plan
from orchestrator.report.status import read_state

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Let the criteria of an item, its plan and the files that evaluate it, hold as the last commit of your "
        "checkout has them. The diff to what the run measures with is shown; rows that it changes are measured again."
    )
    parser.add_argument("item", metavar="ID", help="item of docs/fix_plan.md")
    parser.add_argument("--dry-run", action="store_true", help="show the diff and approve nothing")
    add_workspace(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the diff and leave the request.

    Raises
    ------
    ConfigError
        No run has begun, so that your checkout's criteria hold anyway.
    """
    workspace, running = find_loop(arguments)
    state = read_state(workspace)
    if state.run is None:
        raise ConfigError("no run has begun here: the next start takes the criteria of your last commit as they are")
    git, branch = workspace.git, state.run.branch
    path = plan_path(parse_ledger(git.document(branch, LEDGER), LEDGER).item(arguments.item))
    commit = git.head()
    paths = approved_paths(git, branch, commit, path)
    frozen = state.item(arguments.item).frozen
    plan = parse_plan(git.document(branch, path), path)
    if not paths and (frozen is None or freeze(plan, git, branch) == frozen):
        criteria = [path, *evaluator_paths(parse_plan(git.document(commit, path), path))]
        literal = [f":(literal){name}" for name in criteria]
        changed = git.run("status", "--porcelain", "-z", "--no-renames", "--", *literal).split(b"\0")
        names = ", ".join(entry[3:].decode(errors="replace") for entry in changed if entry)
        same = f"nothing to approve: {commit[:8]} has the criteria the run has"
        sys.stdout.write(f"{arguments.item}: {f'{names} is not committed; commit it first' if names else same}\n")
        return 1
    if paths and not arguments.json:
        sys.stdout.write(git.patch(branch, commit, paths).decode("utf-8", "backslashreplace"))
    if arguments.dry_run:
        return 0
    git.run("update-ref", f"refs/orchestrator/approved/{commit}", commit)  # an amended commit is not to be collected
    return ask(workspace, arguments, running=running, kind="approve", item=arguments.item, commit=commit, note="")
