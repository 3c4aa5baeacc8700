"""What a reviewer is told and leaves: facts from commits, hubs and the journal go in, a proposal comes out."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from orchestrator.agenda import Agenda
from orchestrator.facts import Role, TurnRecord
from orchestrator.layout import HANDOFF, MEASURED
from orchestrator.policy.dwell import limits_of
from orchestrator.policy.fences import classify
from orchestrator.policy.focus import is_stale
from orchestrator.policy.signatures import repeated
from orchestrator.records.handoff import StepKind, parse_handoff
from orchestrator.roles import REVIEW_FILE
from orchestrator.session import Session
from orchestrator.state import State

__all__ = ["course_of", "is_review_due", "pending_review"]

_TURNS_TOLD = 8
_SHOWN = 6_000  # characters of a review that reach a prompt; the whole of it is in the hub


def is_review_due(every: int | None, state: State) -> bool:
    """Whether so many iterations have ended since a reviewer worked last, and an engineer has worked in them."""
    worked = any(turn.role is Role.ENGINEER and turn.iteration > state.reviewed for turn in state.turns)
    return every is not None and state.iteration - state.reviewed >= every and worked


def pending_review(session: Session, state: State) -> dict[str, str] | None:
    """Return the review that no supervisor has seen yet: its turn, path and text, cut to a prompt's room."""
    if state.review is None:
        return None
    path = f"{state.review.hub}{REVIEW_FILE}"
    return {"turn": state.review.turn, "path": path, "text": session.read(path)[:_SHOWN]}


def _followed(session: Session, turn: TurnRecord) -> dict[str, Any]:
    """Return one engineer's turn: what changed, and what of its handoff was done."""
    git, config = session.worktree.git, session.config
    changed = [change.path for change in git.diff_tree(f"{turn.commit}^", turn.commit)]
    classes = Counter(classify(path, tests=config.tests, docs=config.docs).value for path in changed)
    handoff = parse_handoff(git.document(turn.commit, HANDOFF), HANDOFF)
    measured: dict[str, Any] = json.loads(git.blob(turn.commit, f"{turn.hub}{MEASURED}") or b"{}")
    rows = measured.get("rows", ())
    runs = [*measured.get("tests", ()), *(row["tests"] for row in rows if row["tests"])]
    ran = {selector for run in runs for selector in run["selectors"]}
    asked = [step.path for step in handoff.do_now if step.kind is StepKind.IMPLEMENT and step.path]
    return {
        "turn": turn.turn,
        "focus": turn.focus,
        "verdict": turn.verdict.value,
        "dwell": turn.dwell,
        "classes": dict(classes),
        "not_changed": [path for path in asked if path not in changed],
        "not_run": [selector for selector in handoff.mapped_tests if selector not in ran],
        "rows": {row["row"]: row["verdict"] for row in rows},
        "reasons": list(turn.reasons),
    }


def course_of(session: Session, agenda: Agenda, state: State, hub: str) -> dict[str, Any]:
    """Return the course of the run as facts; `hub` is where the review goes."""
    worked = [turn for turn in state.turns if turn.role is Role.ENGINEER]
    known = [(item, state.item(item.id)) for item in agenda.ledger.items]
    return {
        "path": f"{hub}{REVIEW_FILE}",
        "worked_on": [
            {
                "id": item.id,
                "status": item.status.value,
                "dwell": past.dwell,
                "dwell_limits": list(limits_of(item)),
                "iterations": past.iterations,
                "verified": list(past.verified),
                "repeated": repeated(past.turns),
                "stale": is_stale(item, past.last_iteration, state.iteration),
            }
            for item, past in known
            if past.turns
        ],
        "turns": [_followed(session, turn) for turn in worked[-_TURNS_TOLD:]],
    }
