"""The facts an agent is given: computed by the harness, written as JSON and rendered into the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.agenda import Agenda
from orchestrator.config import Config
from orchestrator.facts import Role, TurnRecord
from orchestrator.layout import hub_path, plan_path
from orchestrator.policy.dwell import limits_of
from orchestrator.policy.focus import is_stale
from orchestrator.policy.signatures import repeated
from orchestrator.records.ledger import Item
from orchestrator.state import State

__all__ = ["make_facts", "next_stamp"]


def next_stamp(previous: datetime | None, now: datetime | None = None) -> datetime:
    """Time stamp of the next hub: now, but always later than the previous one by a second at least."""
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    return max(now, previous + timedelta(seconds=1)) if previous else now


def _item_facts(item: Item, agenda: Agenda, state: State, stamp: datetime) -> dict[str, Any]:
    known = state.item(item.id)
    phase = agenda.phase(item, state)
    engineer_turns = [turn for turn in known.turns if turn.role is Role.ENGINEER]
    return {
        "id": item.id,
        "title": item.title,
        "status": item.status.value,
        "priority": item.priority.label,
        "kind": item.kind.value,
        "goals": item.goals,
        "plan": plan_path(item),
        "has_plan": item.id in agenda.plans,
        "hub": hub_path(item.id, stamp),
        "dwell": known.dwell,
        "dwell_limits": list(limits_of(item)),
        "phase": phase.letter if phase else "",
        "phase_name": phase.name if phase else "",
        "phase_goal": phase.goal if phase else "",
        "rows": [
            {"id": row.id, "text": row.text, "run": row.run or "", "test": row.test or "", "expects": list(row.expects)}
            for row in agenda.open_rows(item, state)
        ],
        "implement": [text for row in (phase.rows if phase else ()) for text in row.implement],
        "verified": list(known.verified),
        "stale": is_stale(item, known.last_iteration, state.iteration),
        "repeated": [{"failure": failure, "turns": turns} for failure, turns in repeated(known.turns).items()],
        "attempts": sum(turn.phase == phase.letter for turn in engineer_turns) if phase else 0,
        "last_engineer_commit": known.last_engineer_commit or "none",
    }


def _turn_facts(turn: TurnRecord | None) -> dict[str, Any] | None:
    if turn is None:
        return None
    return {
        "turn": turn.turn,
        "role": turn.role.value,
        "focus": turn.focus,
        "verdict": turn.verdict.value,
        "reasons": list(turn.reasons),
        "tests": turn.tests,
        "hub": turn.hub,
        "commit": turn.commit,
    }


def _corrections(state: State) -> list[str]:
    """Return what the last supervisor's turn said and the harness had measured otherwise."""
    last = next((turn for turn in reversed(state.turns) if turn.role is Role.SUPERVISOR), None)
    return [reason for reason in (last.reasons if last else ()) if reason.startswith("claimed ")]


def make_facts(
    agenda: Agenda,
    state: State,
    config: Config,
    *,
    focus: Item | None,
    stamp: datetime,
    refusals: Sequence[str],
    own: Mapping[str, str],
) -> dict[str, Any]:
    """Facts for one turn, the same for every kind of agent.

    Parameters
    ----------
    agenda, state, config
        What there is to do, what the run knows, and the settings.
    focus : Item or None
        The handoff's focus in an engineer's turn; None lets the supervisor choose.
    stamp : datetime
        Stamp of this iteration's hub.
    refusals : sequence of str
        Why the previous attempt at this turn was sent back.
    own : mapping
        The turn's own names: turn id, role, branch.
    """
    seen = state.item(focus.id).turns if focus else state.turns
    last = next((turn for turn in reversed(seen) if turn.role is Role.ENGINEER), None)
    offered = [_item_facts(item, agenda, state, stamp) for item in ((focus,) if focus else agenda.candidates)]
    return {
        **own,
        "item": offered[0] if focus else None,
        "iteration": state.iteration,
        "stamp": stamp.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "candidates": offered,
        "others": [
            {"id": s.item.id, "status": s.item.status.value, "obstacle": s.obstacle}
            for s in agenda.standings
            if not s.runnable
        ],
        "last": _turn_facts(last),
        "corrections": _corrections(state),
        "refusals": list(refusals),
        "people": [given.text for given in state.inputs],
        "findings": [{"id": f.id, "synopsis": f.synopsis, "status": f.status} for f in agenda.findings],
        "limits": {"turn_minutes": config.turn_minutes, "silence_minutes": config.silence_minutes},
    }
