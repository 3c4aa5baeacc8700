"""The end of a run: turns, focus by focus, what was verified, the pictures, how to see and how to merge the work."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from orchestrator.agenda import read_agenda
from orchestrator.facts import Role, TurnRecord, Verdict
from orchestrator.policy.ending import Ending
from orchestrator.policy.progress import is_gain
from orchestrator.session import Session

__all__ = ["make_summary", "tell_ending"]


def _pictures(session: Session, turns: tuple[TurnRecord, ...]) -> list[str]:
    root = session.worktree.root
    hubs = dict.fromkeys(turn.hub for turn in turns)
    return [str(path.relative_to(root)) for hub in hubs for path in sorted((root / hub).rglob("*.png"))]


def make_summary(session: Session, ending: Ending, turns_before: int) -> dict[str, Any]:
    """Return the end of the run as data; `turns_before` is how many turns the run had when this call began."""
    state = session.state
    agenda = read_agenda(session.read, state, session.config)
    focuses = []
    for standing in agenda.standings:
        known = state.item(standing.item.id)
        engineer = [turn for turn in known.turns if turn.role is Role.ENGINEER]
        focuses.append(
            {
                "id": standing.item.id,
                "title": standing.item.title,
                "status": standing.item.status.value,
                "obstacle": standing.obstacle,
                "iterations": known.iterations,
                "dwell": known.dwell,
                "verified": list(known.verified),
                "refused": [turn.turn for turn in engineer if turn.verdict is Verdict.REFUSED],
                "measured": [reason for turn in engineer for reason in turn.reasons if is_gain(reason)],
                "last": list(engineer[-1].reasons) if engineer else [],
                "hubs": list(dict.fromkeys(turn.hub for turn in engineer)),
                "pictures": _pictures(session, known.turns),
            }
        )
    return {
        "code": int(ending.code),
        "reason": ending.reason,
        "run": session.run.name,
        "branch": session.run.branch,
        "worktree": str(session.workspace.root / session.run.worktree),
        "turns": len(state.turns),
        "turns_in_this_call": len(state.turns) - turns_before,
        "focuses": focuses,
    }


def _focus_lines(focus: dict[str, Any]) -> list[str]:
    iterations = "1 iteration" if focus["iterations"] == 1 else f"{focus['iterations']} iterations"
    head = f"  {focus['id']}: {focus['status']}, {iterations}"
    if focus["verified"]:
        head += f", verified {', '.join(focus['verified'])}"
    if focus["refused"]:
        head += f", refused claims in {', '.join(focus['refused'])}"
    lines = [head, f"      {focus['title']}"]
    lines += [f"      ✓ {reason}" for reason in focus["measured"]]
    if focus["status"] != "done":
        lines += [f"      · {focus['obstacle']}"] if focus["obstacle"] else []
        lines += [f"      ✗ {reason}" for reason in focus["last"] if reason not in focus["measured"]]
    return lines


def tell_ending(session: Session, ending: Ending, turns_before: int, *, as_json: bool) -> None:
    """Say how the run ended: a readable account on stderr, and with `as_json` the data on stdout."""
    session.live.close()
    summary = make_summary(session, ending, turns_before)
    line = session.live.plain
    line("")
    line(f"{ending.reason} (exit code {int(ending.code)})", "bold")
    line(f"turns: {summary['turns']} in {summary['run']}, {summary['turns_in_this_call']} of them now")
    if not summary["turns_in_this_call"] and summary["turns"]:
        line("nothing was done twice; --fresh starts anew")
    for focus in summary["focuses"]:
        for text in _focus_lines(focus):
            line(text)
    worktree = Path(summary["worktree"])
    folders = dict.fromkeys(str(Path(path).parent) for focus in summary["focuses"] for path in focus["pictures"])
    for folder in folders:
        line(f"pictures: {worktree / folder}")
    line(f"work: {worktree} (also .orchestrator/current), branch {summary['branch']}", "bold")
    line(f"see it:   git log --stat {session.run.base[:8]}..{summary['branch']}")
    line("read it:  python -m orchestrator report --out DIR, then open DIR/index.html")
    line(f"merge it: git merge {summary['branch']}")
    if as_json:
        sys.stdout.write(json.dumps(summary, indent=1) + "\n")
