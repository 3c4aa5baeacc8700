"""`doctor`: what can be wrong before a start or after a crash, a line each with its cure; reads only."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator

from orchestrator.agenda import Reader, commit_reader, folder_reader, read_agenda
from orchestrator.agents.catalog import check_agent
from orchestrator.arguments import add_workspace, open_workspace
from orchestrator.config import child_environment, resolve_config
from orchestrator.errors import JournalError, OrchestratorError, cure_of
from orchestrator.evidence.commands import resolve_command
from orchestrator.inbox import read_requests
from orchestrator.journal import read_journal
from orchestrator.layout import FINDINGS, HANDOFF
from orchestrator.lineage import find_orphans
from orchestrator.lock import read_holder
from orchestrator.records.findings import parse_findings
from orchestrator.records.handoff import parse_handoff
from orchestrator.records.text import Problem, counted
from orchestrator.report.status import documents_root, read_state
from orchestrator.sandbox import find_sandbox
from orchestrator.state import State, fold
from orchestrator.workspace import Workspace, find_entry

__all__ = ["add_arguments", "run"]

_OLDEST_GIT = (2, 31)
_LEAST_MB = 500

_Line = tuple[str, str, str]
"""What was looked at, what was found, and its cure; empty when it needs none."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_workspace(parser)


def _machine(workspace: Workspace) -> Iterator[_Line]:
    git, common = workspace.git, workspace.git.common_dir()
    version = git.text("version")
    is_old = tuple(map(int, re.findall(r"\d+", version)[:2])) < _OLDEST_GIT
    yield "programs", f"{version}, Python {sys.version.split()[0]}", "install git 2.31 or later" if is_old else ""
    place = git.text("branch", "--show-current") or "no branch (detached head)"
    merging = ", in the middle of a merge" if git.rev("MERGE_HEAD") else ""
    yield (
        "repository",
        f"{workspace.root} on {place}{merging}, {counted(workspace.uncommitted(), 'uncommitted path')}",
        "",
    )
    locks = sorted({*common.glob("*.lock"), *(common / "refs").rglob("*.lock")} - {workspace.lock_path})
    cure = "remove what is named, if no git is at work here" if locks else ""
    yield "git locks", ", ".join(map(str, locks)) or "none", cure
    folder = workspace.home if workspace.home.exists() else workspace.root
    can_write, free = folder.is_dir() and os.access(folder, os.W_OK), shutil.disk_usage(folder).free // 1_000_000
    cure = "free some, `python -m orchestrator prune` may help" if free < _LEAST_MB else ""
    yield "folder", f"{folder}, {free} MB free", cure if can_write else "make it a folder that this user can write to"


def _past(workspace: Workspace) -> Iterator[_Line]:
    holder = read_holder(workspace.lock_path)
    yield "lock", "held by " + ", ".join(f"{k} {v}" for k, v in holder.items()) if holder else "free", ""
    events = read_journal(workspace.journal_path)
    state = fold(events)
    yield "journal", f"{counted(len(events), 'event')}, all whole", ""
    yield "requests", f"{counted(len(list(read_requests(workspace.home, state.taken))), 'request')} not heard yet", ""
    left = [f"process {p.pid} still runs" for pid, start in state.harness for p in find_orphans(pid, start)]
    left += [f"turn {state.open_turn.turn} is open"] if state.open_turn else []
    cure = "the next start of the loop ends and undoes that" if left and not holder else ""
    yield "dead run", "; ".join(left) if cure else "nothing left behind", cure
    if state.run:
        root, branch = workspace.root / state.run.worktree, state.run.branch
        cure = f"{branch} is gone: start anew with --fresh" if not workspace.git.rev(f"refs/heads/{branch}") else ""
        there = "" if root.is_dir() and find_entry(workspace.git, root) else ", which the next start makes again"
        yield "run", f"{branch} in {root}{there}", cure if state.turns else ""


def _settings(workspace: Workspace) -> Iterator[_Line]:
    config = resolve_config(workspace.root, {})
    origins = ", ".join(f"{key} from {origin}" for key, origin in config.origins.items() if origin != "default")
    yield "settings", origins or "defaults", ""
    path = child_environment(config, workspace.root)["PATH"]
    for key, argv in config.needs.items():
        program = next(iter(resolve_command(argv, {})[0]), sys.executable)
        if shutil.which(program, path=path) is None:
            yield key, program, "install this program, or correct what names it"


def _agents(workspace: Workspace) -> Iterator[_Line]:
    config = resolve_config(workspace.root, {})
    given = ("command",) if config.agent_command else ()
    for name in dict.fromkeys((config.supervisor, config.engineer, config.reviewer, *given)):
        check_agent(name, config)
    yield "sandbox", find_sandbox(config, workspace.git).note, ""
    yield "agents", f"supervisor {config.supervisor}, engineer {config.engineer}", ""


def _read(read: Reader, state: State, workspace: Workspace) -> tuple[str, list[Problem]]:
    """Return what documents amount to, and what is wrong in them."""
    agenda = read_agenda(read, state, resolve_config(workspace.root, {}))
    problems = [problem for plan in agenda.plans.values() for problem in plan.problems]
    problems += parse_findings(read(FINDINGS), FINDINGS).problems if read(FINDINGS) else ()
    return f"{counted(len(agenda.ledger.items), 'item')}, {len(agenda.candidates)} can run", problems


def _documents(workspace: Workspace) -> Iterator[_Line]:
    try:
        state = read_state(workspace)
    except JournalError:
        state = State()
    root = documents_root(workspace, state)
    read, in_run = folder_reader(root), root != workspace.root
    told, problems = _read(read, state, workspace)
    problems += parse_handoff(read(HANDOFF), HANDOFF).problems if state.open_handoff and in_run else ()
    cure = f"correct it in {workspace.root}"
    cure += " (not in the run's worktree) and commit; `approve` or --fresh takes it over" if in_run else ""
    for problem in problems:
        yield problem.path, f"{problem}", cure
    yield "documents", f"{told}, in {root}", ""


def _last_commit(workspace: Workspace) -> Iterator[_Line]:
    commit = workspace.git.head()
    told, problems = _read(commit_reader(workspace.git, commit), State(), workspace)
    said = f"{told}, in {commit[:8]}, which --fresh would start from"
    wrong = f"; {counted(len(problems), 'problem')}, first {problems[0]}" if problems else ""
    yield "last commit", said + wrong, f"correct it in {workspace.root} and commit" if wrong else ""


def run(arguments: argparse.Namespace) -> int:
    """Look at everything; 1 when something needs a cure."""
    workspace = open_workspace(arguments)
    found: list[_Line] = []
    for look in (_machine, _past, _settings, _agents, _documents, _last_commit):
        try:
            found.extend(look(workspace))
        except (OrchestratorError, OSError) as error:
            found.append((look.__name__.strip("_").replace("_", " "), "", f"{error}{cure_of(error)}"))
            if look is _settings:
                break  # what follows is looked at with the settings
    if arguments.json:
        lines = [{"check": name, "ok": not cure, "found": what, "cure": cure} for name, what, cure in found]
        sys.stdout.write(json.dumps(lines, indent=1) + "\n")
    else:
        for name, what, cure in found:
            says = "; ".join(filter(None, (what, cure))).replace("\n", "\n    ")
            sys.stdout.write(f"{'✗' if cure else '✓'} {name}: {says}\n")
    return int(any(cure for _, _, cure in found))
