"""The state is the same however the journal is cut into parts, and a part that was folded never changes."""

from __future__ import annotations

import copy

import pytest

from orchestrator.facts import Role, TurnRecord, Verdict
from orchestrator.journal import Event
from orchestrator.state import State, fold, record_to_data

ITEM = "MEAN-FIX-001"


def record(number: int, role: Role) -> TurnRecord:
    verdict = Verdict.HANDOFF if role is Role.SUPERVISOR else Verdict.NO_PROGRESS
    return TurnRecord(
        f"run-1/{number}", role, number, ITEM, verdict, False, number, "A", ("A1",), ("t",), "", "h", "t", ("why",), "c"
    )


def turn(number: int, role: Role) -> list[tuple[str, dict[str, object]]]:
    outcome = {"turn": f"run-1/{number}", "record": record_to_data(record(number, role)), "status": "in_progress"}
    return [
        ("turn.started", {"turn": f"run-1/{number}", "role": role.value, "iteration": number, "base": "b"}),
        ("turn.verified", outcome | {"note": "", "frozen": {"rows": "r", "evaluators": "e"}}),
        ("turn.committed", outcome | {"note": "", "frozen": None}),
    ]


CHARGE = {"item": ITEM, "dwell": 3, "status": "blocked", "note": "stands still"}
EVENTS = tuple(
    Event(number, "2026-01-15T22:58:50Z", kind, data)
    for number, (kind, data) in enumerate(
        [
            ("run.started", {"run": "run-1", "branch": "loop/run-1", "base": "b", "worktree": "w"}),
            ("run.opened", {"run": "run-1", "pid": 1, "identity": None}),
            *turn(1, Role.SUPERVISOR),
            *turn(2, Role.ENGINEER),
            turn(3, Role.ENGINEER)[0],
            ("turn.abandoned", {"turn": "run-1/3", "role": "ralph", "charge": CHARGE, "interrupted": False}),
            ("override", {"id": "1", "kind": "clear", "item": ITEM, "note": ""}),
            ("item.status", {"item": ITEM, "status": "waiting", "note": "data"}),
        ],
        1,
    )
)


@pytest.mark.parametrize("cut", range(len(EVENTS) + 1))
def test_a_journal_folded_in_two_parts_gives_what_it_gives_at_once(cut: int) -> None:
    before = fold(EVENTS[:cut])
    kept = copy.deepcopy(before)
    assert fold(EVENTS[cut:], before) == fold(EVENTS)
    assert before == kept


def test_the_state_of_no_event_stays_empty() -> None:
    fold(EVENTS)
    assert fold(()) == State()
    assert [turn.turn for turn in fold(EVENTS).item(ITEM).turns] == ["run-1/1", "run-1/2"]
