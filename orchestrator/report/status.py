"""The status of a repository's plan and run, for people and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.agenda import Reader, commit_reader, folder_reader, read_agenda
from orchestrator.config import Config
from orchestrator.git import Git
from orchestrator.inbox import USER_INPUT, read_requests, tell_request
from orchestrator.journal import read_journal
from orchestrator.lock import read_holder
from orchestrator.policy.focus import Standing, is_stale
from orchestrator.records.text import counted
from orchestrator.roles import REVIEW_FILE
from orchestrator.state import State, fold
from orchestrator.workspace import Workspace

__all__ = ["documents_reader", "documents_root", "make_status", "read_state", "status_lines"]


def read_state(workspace: Workspace) -> State:
    """Return the state as the journal tells it; an empty one where no loop has run yet."""
    return fold(read_journal(workspace.journal_path)) if workspace.journal_path.exists() else State()


def documents_root(workspace: Workspace, state: State) -> Path:
    """Where the live documents are: the run's worktree, or the user's checkout when there is no run."""
    root = workspace.root / state.run.worktree if state.run else workspace.root
    return root if root.is_dir() else workspace.root


def documents_reader(workspace: Workspace, state: State, git: Git) -> Reader:
    """Return a reader of the documents of the run's branch, for an agent may be changing its checkout."""
    branch = f"refs/heads/{state.run.branch}" if state.run else ""
    if not branch or git.rev(branch) is None:
        return folder_reader(workspace.root)
    return commit_reader(git, branch)


def _item(standing: Standing, state: State) -> dict[str, Any]:
    item, known = standing.item, state.item(standing.item.id)
    return {
        "id": item.id,
        "title": item.title,
        "status": item.status.value,
        "priority": item.priority.label,
        "runnable": standing.runnable,
        "obstacle": standing.obstacle,
        "dwell": known.dwell,
        "iterations": known.iterations,
        "verified": list(known.verified),
        "stale": is_stale(item, known.last_iteration, state.iteration),
        "last_hub": known.turns[-1].hub if known.turns else None,
    }


def _waiting(workspace: Workspace, state: State) -> list[str]:
    """Return the requests that the loop has not heard yet, in words."""
    requests = [tell_request(data) for kind, data in read_requests(workspace.home, state.taken) if kind == "override"]
    return [*requests, *([USER_INPUT] if (workspace.root / USER_INPUT).is_file() else [])]


def make_status(workspace: Workspace, config: Config, *, fresh: bool = False) -> dict[str, Any]:
    """Status as data: the run, the turn under way, and every item with what stands in its way.

    With `fresh` it is what a new run would find at the commit the checkout is at.
    """
    state = State() if fresh else read_state(workspace)
    with workspace.git.keeping_reader() as git:
        read = commit_reader(git, "HEAD") if fresh else documents_reader(workspace, state, git)
        agenda = read_agenda(read, state, config)
    run = state.run
    holder = read_holder(workspace.lock_path)
    return {
        "run": {"name": run.name, "branch": run.branch, "base": run.base, "worktree": run.worktree} if run else None,
        "turns": len(state.turns),
        "open_turn": state.open_turn.turn if state.open_turn else None,
        "paused": state.paused or None,
        "loop": holder.get("pid"),
        "sandbox": state.sandbox or None,
        "requests_waiting": _waiting(workspace, state),
        "user_input_waiting": len(state.inputs),
        "reviewed": state.reviewed or None,
        "review_waiting": f"{state.review.hub}{REVIEW_FILE}" if state.review else None,
        "runnable": [item.id for item in agenda.candidates],
        "items": [_item(standing, state) for standing in agenda.standings],
    }


def status_lines(status: dict[str, Any]) -> list[str]:
    """Return the same for a terminal."""
    run = status["run"]
    lines = [
        f"{run['name']} on {run['branch']}, {counted(status['turns'], 'turn')}"
        if run
        else "no run yet: python -m orchestrator.loop"
    ]
    if status["sandbox"]:
        lines.append(f"sandbox: {status['sandbox']}")
    if status["open_turn"]:
        under_way = (
            f"under way in process {status['loop']}" if status["loop"] else "cut short; the next start settles it"
        )
        lines.append(f"{status['open_turn']}: {under_way}")
    if status["paused"]:
        lines.append(f"paused: {status['paused']}; `pause --off` lets it go on")
    if status["requests_waiting"]:
        when = "the end of the turn" if status["loop"] else "the next start"
        lines.append(f"not heard before {when}: {', '.join(status['requests_waiting'])}")
    if status["user_input_waiting"]:
        lines.append("your user_input.md was read; the next handoff answers it")
    if status["review_waiting"]:
        lines.append(f"a review waits for the next supervisor: {status['review_waiting']}")
    for item in status["items"]:
        state = ("runnable" + ", but lies idle" * item["stale"]) if item["runnable"] else item["obstacle"]
        lines.append(f"  {item['id']:<28} {item['status']:<12} {item['priority']:<8} dwell {item['dwell']}  {state}")
    return lines
