"""Dwell and its tiers, as pure functions of an item, its plan and what happened to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.agenda import Agenda, read_agenda
from orchestrator.config import resolve_config
from orchestrator.facts import Role, TurnRecord, Verdict
from orchestrator.policy.dwell import limits_of, standing_after
from orchestrator.policy.focus import STALE_AFTER, is_stale
from orchestrator.policy.handoff import HandoffContext, check_handoff, check_selection
from orchestrator.records.handoff import parse_handoff
from orchestrator.records.ledger import Kind, Status, parse_ledger
from orchestrator.state import ItemState, State
from orchestrator.submissions import standing_items

LEDGER = """# Fix plan

### [FIX-A-001] one
- Depends on: None
- Priority: High
- Status: pending

### [FIX-B-001] another
- Depends on: None
- Priority: High
- Status: pending
"""
PLAN = "# {0}\n\n## Phase A — a\n- [ ] A1: one\n  - Run: `python a.py {{hub}}`\n- [ ] A2: two\n  - Run: `python b.py`\n"
ITEM = parse_ledger(LEDGER).items[0]


def test_an_item_that_stands_still_is_blocked_and_then_out_of_reach() -> None:
    for dwell, status, rule in (
        (4, Status.BLOCKED, "[DWELL-STILL]"),
        (5, Status.BLOCKED, "[DWELL-STILL]"),
        (6, Status.BLOCKED_ESCALATION, "[DWELL-ESCALATION]"),
        (9, Status.BLOCKED_ESCALATION, "[DWELL-ESCALATION]"),
    ):
        found, note = standing_after(dwell, ITEM, ("nothing changed",))
        assert found is status
        assert note.startswith(f"{dwell} iterations without progress, the last one: nothing changed: ")
        assert note.endswith(rule)


def test_an_item_below_its_limits_goes_on() -> None:
    assert standing_after(3, ITEM, ()) == (Status.IN_PROGRESS, "")
    assert standing_after(7, replace(ITEM, kind=Kind.RESEARCH), ()) == (Status.IN_PROGRESS, "")
    assert standing_after(9, replace(ITEM, dwell_limits=(3, 10, 12)), ()) == (Status.IN_PROGRESS, "")
    assert limits_of(replace(ITEM, kind=Kind.RESEARCH, dwell_limits=(1, 2, 3))) == (1, 2, 3)


def test_what_is_granted_reaches_no_further_than_the_last_tier() -> None:
    assert standing_after(5, ITEM, (), granted=6)[0] is Status.IN_PROGRESS
    assert standing_after(6, ITEM, (), granted=7)[0] is Status.BLOCKED_ESCALATION


HANDOFF = """Focus: FIX-A-001 — one

Mapped tests: {tests}

Do Now:
1. {step}
"""
IMPLEMENT = "Implement: calc.py::mean — divide"


@pytest.mark.parametrize(
    ("step", "tests", "rules"),
    [
        ("Run: `python a.py {hub}` — the row", "none", []),
        ("Run: `python  a.py '{hub}'`", "none", []),
        ("Run: `python look.py`", "none", ["DWELL-CRITERION"]),
        ("Implement: calc.py::mean — divide", "tests/test_a.py", []),
        ("Implement: tests/test_new.py::test_x — write it", "tests/test_new.py", ["DWELL-CRITERION"]),
    ],
)
def test_an_item_that_stands_still_needs_work_on_an_open_criterion(step: str, tests: str, rules: list[str]) -> None:
    context = HandoffContext(
        runnable=["FIX-A-001"],
        branch="",
        hub="",
        findings=(),
        open_rows=["A1"],
        collects=lambda selector: 0 if "new" in selector else 3,
        is_open=lambda command: command.replace("'", "").split() == ["python", "a.py", "{hub}"],
        stands_still=True,
    )
    handoff = parse_handoff(HANDOFF.format(step=step, tests=tests))
    assert [found.rule.id for found in check_handoff(handoff, context)] == rules
    assert check_handoff(handoff, replace(context, stands_still=False)) == ()


def agenda_of(state: State, second_plan: str) -> Agenda:
    documents = {
        "docs/fix_plan.md": LEDGER,
        "plans/active/FIX-A-001/implementation.md": PLAN.format("FIX-A-001"),
        "plans/active/FIX-B-001/implementation.md": second_plan,
    }
    config = resolve_config(Path("/nowhere"), {})
    return read_agenda(lambda path: documents.get(path, ""), state, config)


@pytest.mark.parametrize(
    ("plan", "verified", "is_twin"),
    [
        (PLAN.format("FIX-B-001"), (), True),
        (PLAN.format("FIX-B-001").replace("A1", "A7").replace("one", "quite another"), (), True),
        (PLAN.format("FIX-B-001").partition("- [ ] A2")[0], (), True),
        (PLAN.format("FIX-B-001").replace("b.py", "c.py"), (), False),
        (PLAN.format("FIX-B-001"), ("A1",), False),
    ],
)
def test_a_twin_of_an_item_that_stands_still_is_not_begun(plan: str, verified: tuple[str, ...], is_twin: bool) -> None:
    stuck = ItemState(status=Status.BLOCKED, dwell=4, verified=verified)
    agenda = agenda_of(State(items={"FIX-A-001": stuck}), plan)
    (twin,) = [standing for standing in agenda.standings if standing.item.id == "FIX-B-001"]
    assert ("[DWELL-TWIN]" in twin.obstacle) is is_twin
    by_a_person = replace(stuck, dwell=1)
    assert [item.id for item in agenda_of(State(items={"FIX-A-001": by_a_person}), plan).candidates] == ["FIX-B-001"]


def test_what_a_supervisor_adds_to_the_ledger_is_a_proposal_and_what_stands_stays() -> None:
    added = "\n### [FIX-C-001] new\n- Depends on: None\n- Priority: Critical\n- Status: in_progress\n"
    changed = LEDGER.replace("Status: pending", "Status: done") + added
    items = {item.id: item for item in parse_ledger(standing_items(LEDGER, changed)).items}
    assert [items[name].status for name in ("FIX-A-001", "FIX-B-001")] == [Status.PENDING] * 2
    assert items["FIX-C-001"].status is Status.WAITING
    assert items["FIX-C-001"].status_note.endswith("[DWELL-PROPOSAL]")
    assert standing_items(LEDGER, LEDGER) == LEDGER


def turn(role: Role, verdict: Verdict) -> TurnRecord:
    return TurnRecord("t", role, 1, "F", verdict, False, 0, "", (), (), "", "h", "t", ())


def test_of_two_supervisor_turns_in_a_row_one_hands_work_over() -> None:
    selection, handoff = turn(Role.SUPERVISOR, Verdict.SELECTION), turn(Role.SUPERVISOR, Verdict.HANDOFF)
    review, work = turn(Role.REVIEWER, Verdict.REVIEW), turn(Role.ENGINEER, Verdict.PROGRESS)
    for before in ((), (handoff, work), (selection, handoff, work)):
        assert check_selection(before) == ()
    for before in ((selection,), (handoff, work, selection), (selection, review)):
        assert [found.rule.id for found in check_selection(before)] == ["HANDOFF-SELECTION"]


def test_an_item_in_progress_that_nobody_works_on_is_stale() -> None:
    begun = replace(ITEM, status=Status.IN_PROGRESS)
    assert is_stale(begun, 3, 3 + STALE_AFTER)
    assert not is_stale(begun, 3, 2 + STALE_AFTER)
    assert not is_stale(ITEM, 3, 3 + STALE_AFTER)
