"""The rules as pure functions, on facts made by hand and at random."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ExitCode
from orchestrator.facts import PathChange, PathClass
from orchestrator.policy.closure import is_complete, open_phase, ticks
from orchestrator.policy.dwell import dwell_after, standing_after
from orchestrator.policy.ending import limit_reached, nothing_runnable
from orchestrator.policy.fences import classify, crossing, locks
from orchestrator.policy.focus import candidates, find_circle, standings
from orchestrator.policy.handoff import HandoffContext, check_handoff
from orchestrator.records.handoff import parse_handoff
from orchestrator.records.ledger import Kind, Ledger, Priority, Status, parse_ledger
from orchestrator.records.plan import RowState, parse_plan
from orchestrator.roles import ENGINEER, SUPERVISOR
from orchestrator.state import ItemState, State

TESTS, DOCS = ("tests/**", "**/test_*.py", "**/conftest.py"), ("docs/**", "**/*.md")


def ledger_of(*items: tuple[str, str, str, str]) -> Ledger:
    text = "\n".join(
        f"### [{name}] title\n- Depends on: {needs}\n- Priority: {priority}\n- Status: {status}\n"
        for name, needs, priority, status in items
    )
    return parse_ledger(text)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("ptycho/metrics/frc.py", PathClass.PRODUCTION),
        ("tests/data/x.npz", PathClass.TESTS),
        ("test_top.py", PathClass.TESTS),
        ("pkg/deep/conftest.py", PathClass.TESTS),
        ("README.md", PathClass.DOCS),
        ("docs/a/b.png", PathClass.DOCS),
        ("plans/active/X-001/implementation.md", PathClass.PLAN),
        ("plans/active/X-001/reports/2026-01-01T000000Z/a.log", PathClass.EVIDENCE),
        ("attest/run.py", PathClass.PRODUCTION),
        ("requirements-dev.txt", PathClass.LOCK),
        ("web/package-lock.json", PathClass.LOCK),
        ("data/requirements.csv", PathClass.PRODUCTION),
    ],
)
def test_a_path_has_one_class(path: str, kind: PathClass) -> None:
    assert classify(path, tests=TESTS, docs=DOCS) is kind


@pytest.mark.parametrize(
    ("added", "other"),
    [
        ('[project]\ndependencies = ["numpy"]\n', True),
        ('[project.optional-dependencies]\ndev = ["ruff"]\n', True),
        ('[tool.poetry.dependencies]\nnumpy = "*"\n', True),
        ('[dependency-groups]\ndev = ["ruff"]\n', True),
        ("[tool.ruff]\nline-length = 120\n", False),
        ("# a remark\n", False),
    ],
)
def test_a_pyproject_is_a_lock_file_where_it_asks_for_packages(added: str, other: bool) -> None:
    text = '[build-system]\nrequires = ["hatchling"]\n'
    assert locks(text, text + added) is other


def test_fences_stop_each_role_at_what_is_not_its_own() -> None:
    changes = [
        PathChange("input.md", "M", PathClass.DOCS),
        PathChange("calc.py", "M", PathClass.PRODUCTION),
        PathChange("plans/active/X-001/reports/s/agent/note.md", "A", PathClass.EVIDENCE),
        PathChange("plans/active/X-001/reports/s/metrics.json", "A", PathClass.EVIDENCE),
    ]
    hub = "plans/active/X-001/reports/s/"
    assert [b.where for b in crossing(changes, ENGINEER, hub, lambda _: None)] == ["input.md", hub + "metrics.json"]
    assert [b.where for b in crossing(changes, SUPERVISOR, hub, lambda _: None)] == ["calc.py", hub + "metrics.json"]
    fixed = crossing(changes, ENGINEER, hub, lambda path: ("FENCE-FROZEN", "fixed") if path == "calc.py" else None)
    assert ("FENCE-FROZEN", "calc.py") in [(b.rule.id, b.where) for b in fixed]
    own = [PathChange("agent/core.py", "M", PathClass.PRODUCTION)]
    assert [b.where for b in crossing(own, SUPERVISOR, "", lambda _: None)] == ["agent/core.py"]


def test_work_in_progress_comes_first_then_priority_then_the_ledgers_order() -> None:
    ledger = ledger_of(
        ("LOW-A-001", "None", "Medium", "pending"),
        ("HIGH-A-001", "None", "High", "pending"),
        ("HIGH-B-001", "None", "High", "in_progress"),
        ("CRIT-A-001", "None", "Critical", "pending"),
        ("WAIT-A-001", "HIGH-A-001", "Critical", "pending"),
        ("KNOW-A-001", "NOT-YET-001, KNOWN-001", "Critical", "pending"),
        ("LEARNT-A-001", "KNOWN-001", "Low", "pending"),
    )
    found = standings(ledger, Priority.HIGH, lambda _: "", {"NOT-YET-001": False, "KNOWN-001": True})
    assert [item.id for item in candidates(found)] == ["HIGH-B-001", "CRIT-A-001", "HIGH-A-001"]
    obstacles = {standing.item.id: standing.obstacle for standing in found}
    assert obstacles["LOW-A-001"] == "priority Medium is below High"
    assert "HIGH-A-001, not done yet" in obstacles["WAIT-A-001"]
    assert obstacles["KNOW-A-001"] == "depends on finding NOT-YET-001, not resolved yet"
    assert "priority" in obstacles["LEARNT-A-001"], "what it depends on is resolved"


def test_two_items_in_progress_keep_a_third_from_being_started() -> None:
    rows = [("A-A-001", "None", "High", "in_progress"), ("A-B-001", "None", "High", "in_progress")]
    ledger = ledger_of(*rows, ("A-C-001", "None", "Critical", "pending"))
    assert [i.id for i in candidates(standings(ledger, Priority.LOW, lambda _: "", {}))] == ["A-A-001", "A-B-001"]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_a_cycle_is_found_exactly_when_there_is_one(edges: list[tuple[int, int]]) -> None:
    needs = {n: sorted({b for a, b in edges if a == n}) for n in range(6)}
    rows = [(f"N-{n}", ", ".join(f"N-{m}" for m in needs[n]) or "None", "High", "pending") for n in range(6)]
    cycle = find_circle(ledger_of(*rows))
    reach = {n: set(needs[n]) for n in needs}
    for _ in needs:
        reach = {n: reach[n] | {far for near in reach[n] for far in reach[near]} for n in reach}
    assert bool(cycle) == any(n in reach[n] for n in reach)
    if cycle:
        assert cycle[0] == cycle[-1]
        pairs = list(pairwise(cycle))
        assert all(int(b[2:]) in needs[int(a[2:])] for a, b in pairs)


@given(st.lists(st.booleans(), max_size=40), st.sampled_from(list(Kind)))
def test_dwell_falls_only_through_progress_and_its_tier_never_outruns_it(turns: list[bool], kind: Kind) -> None:
    tiers = (Status.IN_PROGRESS, Status.BLOCKED, Status.BLOCKED_ESCALATION)

    item = replace(ledger_of(("A-A-001", "None", "High", "pending")).items[0], kind=kind)

    def tier_of(dwell: int) -> int:
        return tiers.index(standing_after(dwell, item, ())[0])

    dwell = 0
    for progress in turns:
        after = dwell_after(dwell, progress=progress)
        assert after == (0 if progress else dwell + 1)
        assert tier_of(after) >= tier_of(dwell) or progress
        dwell = after
    assert standing_after(6 if kind is not Kind.RESEARCH else 12, item, ())[0] is Status.BLOCKED_ESCALATION


PLAN = parse_plan(
    """# X-001
## Phase A — first
- [ ] A0: prose only
- [ ] A1: run
  - Run: `python a.py`
## Phase B — second
- [ ] B1: run
  - Run: `python b.py`
  - Needs: A1
"""
)


def test_phases_open_and_close_with_their_machine_rows() -> None:
    first = open_phase(PLAN, ())
    second = open_phase(PLAN, {"A1"})
    assert first is not None
    assert second is not None
    assert (first.letter, second.letter) == ("A", "B")
    assert not is_complete(PLAN, {"A1"})
    assert is_complete(PLAN, {"A1", "B1"})
    assert ticks(PLAN, {"A1"}) == {"A0": RowState.DONE, "A1": RowState.DONE, "B1": RowState.OPEN}


HANDOFF = """Summary: do it

Mode: Implementation

Focus: FIX-A-001 — title

Branch: loop/run-1

Mapped tests:
- tests/test_a.py

Artifacts: plans/active/FIX-A-001/reports/2026-01-01T000000Z/

Do Now:
1. Implement: `calc.py::mean — divide by the length`

If Blocked: stop

Findings Applied: CONFIG-001
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", ""),
        ("FIX-A-001 — title", "FIX-B-001 — title", "is not runnable now (runnable: FIX-A-001)"),
        ("Focus: FIX-A-001 — title", "", "input.md: no line `Focus: <ID> — <title>` (runnable: FIX-A-001)"),
        ("1. Implement: `calc.py::mean — divide by the length`", "1. Think.", "nothing runnable"),
        ("calc.py::mean", "../calc.py::mean", "not inside the repository"),
        ("Branch: loop/run-1", "Branch: main", "is not this run's"),
        ("T000000Z", "T000001Z", "is not the issued hub"),
        ("CONFIG-001", "CONFIG-009", "is not in docs/findings.md"),
        ("tests/test_a.py", "tests/test_none.py", "collects nothing"),
        ("- tests/test_a.py", "\n".join(f"- tests/none_{n}.py" for n in range(51)), "51 mapped tests, at most 50"),
        ("Mapped tests:\n- tests/test_a.py", "Mapped tests: none", "maps no test"),
    ],
)
def test_a_handoff_is_refused_for_one_reason_and_the_reason_names_the_cure(old: str, new: str, said: str) -> None:
    context = HandoffContext(
        runnable=["FIX-A-001"],
        branch="loop/run-1",
        hub="plans/active/FIX-A-001/reports/2026-01-01T000000Z/",
        findings={"CONFIG-001"},
        open_rows=["A1"],
        collects=lambda selector: 0 if "none" in selector else 3,
    )
    refusals = check_handoff(parse_handoff(HANDOFF.replace(old, new) if old else HANDOFF), context)
    assert len(refusals) == (1 if said else 0), refusals
    assert all(
        said in refusal.text and refusal.text.endswith(f"{refusal.rule.cure} [{refusal.rule.id}]")
        for refusal in refusals
    )


def ending(state: State, *items: tuple[str, str, str, str]) -> ExitCode:
    return nothing_runnable(standings(ledger_of(*items), Priority.LOW, lambda _: "x", {}), state).code


def test_each_ending_has_its_code() -> None:
    assert ending(State()) is ExitCode.DONE
    assert ending(State(), ("A-A-001", "None", "High", "waiting")) is ExitCode.WAITING
    assert ending(State(), ("A-A-001", "None", "High", "blocked")) is ExitCode.BLOCKED
    stalled = State(items={"A-A-001": ItemState(status=Status.BLOCKED)})
    assert ending(stalled, ("A-A-001", "None", "High", "blocked")) is ExitCode.STALLED
    done = replace(stalled, items={**stalled.items, "A-B-001": ItemState(status=Status.DONE)})
    assert ending(done, ("A-A-001", "None", "High", "blocked"), ("A-B-001", "None", "High", "done")) is ExitCode.DONE
    limits = {"max_iterations": 3, "max_minutes": 2.0}
    assert limit_reached(State(), iterations=2, minutes=1.9, **limits) is None
    assert limit_reached(State(), iterations=3, minutes=0, **limits) is not None
    assert limit_reached(State(), iterations=0, minutes=2.1, **limits) is not None
    failed = limit_reached(State(failures={"ralph": 3}), iterations=0, minutes=0, max_iterations=None, max_minutes=None)
    assert failed is not None
    assert failed.code is ExitCode.AGENT_FAILED
