"""`show`: the live documents of the run, wherever its worktree lies."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from orchestrator.arguments import add_workspace, open_workspace
from orchestrator.errors import RecordError
from orchestrator.layout import HANDOFF, LEDGER, MEMORY
from orchestrator.report.status import documents_root, read_state
from orchestrator.state import State

__all__ = ["add_arguments", "run"]

_DOCUMENTS = {"memory": MEMORY, "handoff": HANDOFF, "ledger": LEDGER}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("what", choices=[*_DOCUMENTS, "hub", "turn"], help="what to show")
    parser.add_argument("name", nargs="?", help="item id for hub, turn id for turn (default: the latest)")
    add_workspace(parser)


def _hub(root: Path, state: State, item_id: str | None) -> tuple[str, str]:
    hubs = [
        turn.hub for turn in state.turns if (item_id is None or turn.focus == item_id) and (root / turn.hub).is_dir()
    ]
    if not hubs:
        raise RecordError(f"no hub{f' of {item_id}' if item_id else ''} yet; `status` lists the items")
    folder = root / hubs[-1]
    listing = [
        f"{path.stat().st_size:>9}  {path.relative_to(folder)}" for path in sorted(folder.rglob("*")) if path.is_file()
    ]
    return str(folder), "\n".join([*listing, ""])


def _turn(state: State, turn_id: str | None) -> tuple[str, str]:
    found = [turn for turn in state.turns if turn_id in {None, turn.turn}]
    if not found:
        known = ", ".join(turn.turn for turn in state.turns[-5:])
        raise RecordError(
            f"no turn {turn_id!r}; the latest are {known}" if known else "no turn has been taken here yet"
        )
    turn = found[-1]
    lines = [f"turn {turn.turn}, role {turn.role.value}, focus {turn.focus}, verdict {turn.verdict.value}"]
    told = {
        "iteration": turn.iteration,
        "phase": turn.phase,
        "progress": "yes" if turn.progress else "no",
        "dwell": turn.dwell,
        "verified rows": ", ".join(turn.verified),
        "failing tests": ", ".join(turn.failing),
        "tests": turn.tests,
        "hub": turn.hub,
        "measured tree": turn.tree,
        "commit": turn.commit,
        "reasons": "".join(f"\n    - {reason}" for reason in turn.reasons),
    }
    lines += [f"  {label}: {'none' if value == '' else value}" for label, value in told.items()]
    return turn.commit, "\n".join([*lines, ""])


def run(arguments: argparse.Namespace) -> int:
    """Print where the document is and what it says."""
    workspace = open_workspace(arguments)
    state = read_state(workspace)
    root = documents_root(workspace, state)
    if arguments.what == "hub":
        place, text = _hub(root, state, arguments.name)
    elif arguments.what == "turn":
        place, text = _turn(state, arguments.name)
    else:
        path = root / _DOCUMENTS[arguments.what]
        if not path.is_file():
            raise RecordError(f"{path}: does not exist; a supervisor's first turn writes it")
        place, text = str(path), path.read_text(encoding="utf-8", errors="replace")
    if arguments.json:
        sys.stdout.write(json.dumps({"place": place, "text": text}) + "\n")
    else:
        sys.stdout.write(text if arguments.what == "turn" else f"{place}\n{text}")
    return 0
