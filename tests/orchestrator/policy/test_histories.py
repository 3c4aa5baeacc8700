"""Whole runs as pure histories: whatever agents and people do, the policy keeps its promises, and every run ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.agenda import Agenda, read_agenda
from orchestrator.config import resolve_config
from orchestrator.errors import ConfigError, ExitCode
from orchestrator.facts import Facts, PathChange, PathClass, Role, RowResult, RowVerdict, TestRun, TurnRecord, Verdict
from orchestrator.journal import Event
from orchestrator.policy.dwell import fate_of, limits_of, waking
from orchestrator.policy.ending import Ending, limit_reached, nothing_runnable
from orchestrator.policy.focus import WIP_LIMIT
from orchestrator.policy.handoff import check_selection
from orchestrator.policy.progress import judge_engineer
from orchestrator.policy.rules import Rulebook
from orchestrator.records.conditions import ConditionKind
from orchestrator.records.ledger import Item, Status
from orchestrator.state import State, fold, record_to_data

CONFIG = replace(resolve_config(Path("/nowhere"), {}), supervisor="command", engineer="command", priority="Low")
NAMES = ("ONE-001", "TWO-001", "TRE-001", "FOR-001")
ENDS = {ExitCode.DONE, ExitCode.WAITING, ExitCode.BLOCKED, ExitCode.STALLED, ExitCode.LIMIT, ExitCode.AGENT_FAILED}
CONDITIONS = ("", "", "file ready exists", "file ready exists", "after 2020-01-01", "ONE-001 done", "a person says so")


@st.composite
def documents(draw: st.DrawFn) -> dict[str, str]:
    """A ledger and plans as people write them, with dependencies and conditions at random, circles among them."""
    names = NAMES[: draw(st.integers(1, 4))]
    found = {}
    ledger = []
    for number, name in enumerate(names):
        earlier = names[:number] if draw(st.integers(0, 9)) else names
        needs = draw(st.lists(st.sampled_from(earlier), max_size=1)) if earlier else []
        limits = draw(st.sampled_from(("", "- Dwell Limits: 1/2/3\n", "- Dwell Limits: 2/3/9\n")))
        condition = draw(st.sampled_from(CONDITIONS))
        ledger.append(
            f"### [{name}] title\n- Depends on: {', '.join(needs) or 'None'}\n"
            f"- Priority: {draw(st.sampled_from(('Critical', 'High', 'Low')))}\n"
            f"- Status: {draw(st.sampled_from(('pending', 'pending', 'pending', 'waiting', 'blocked')))}\n"
            f"- Kind: {draw(st.sampled_from(('code', 'research')))}\n{limits}"
            + (f"- Return Condition: {condition}\n" if condition else "")
        )
        rows = "".join(f"- [ ] A{n}: row\n  - Run: `run {name} {n}`\n" for n in range(1, 1 + draw(st.integers(1, 3))))
        found[f"plans/active/{name}/implementation.md"] = f"# {name}\n\n## Phase A — a\n{rows}"
    return {"docs/fix_plan.md": "# Plan\n\n" + "\n".join(ledger), **found}


@dataclass
class History:
    """A run without agents or git: the policy's own functions, and a journal in memory.

    `draw` stands for everything that is not the policy: what agents do, what people ask, what the world is like.
    """

    documents: dict[str, str]
    draw: Callable[[Any], Any]
    people: bool
    wanted: int = 40
    state: State = field(default_factory=State)
    events: list[Event] = field(default_factory=list)

    def append(self, kind: str, data: dict[str, Any]) -> None:
        before = self.state
        event = Event(len(self.events) + 1, "", kind, json.loads(json.dumps(data)))
        self.events.append(event)
        self.state = fold([event], before)
        self.check(before, event)

    def check(self, before: State, event: Event) -> None:
        """What every event keeps."""
        data: Any = event.data
        if event.kind == "item.condition" and data["met"]:
            assert not before.item(data["item"]).met, "once for every time it comes to be met"
        for name, known in self.state.items.items():
            past = before.item(name)
            cleared = event.kind == "override" and data["kind"] == "clear"
            if known.dwell < past.dwell:
                assert cleared or data["record"]["progress"], event
            if past.status == Status.BLOCKED_ESCALATION and known.status != past.status:
                assert cleared, event
            assert known.dwell <= max(limits_of(item)[2] for item in self.agenda().ledger.items if item.id == name)
        working = [name for name, known in self.state.items.items() if known.status == Status.IN_PROGRESS]
        assert len(working) <= WIP_LIMIT

    def agenda(self) -> Agenda:
        return read_agenda(lambda path: self.documents.get(path, ""), self.state, CONFIG)

    def holds(self, item: Item) -> bool:
        done = {other.id for other in self.agenda().ledger.items if other.status is Status.DONE}
        for condition in item.conditions:
            match condition.kind:
                case ConditionKind.ITEM:
                    met = condition.subject in done
                case ConditionKind.FILE:
                    met = self.draw(st.booleans())
                case _:
                    met = condition.kind is ConditionKind.TIME
            if not met:
                return False
        return bool(item.conditions)

    def wake(self) -> None:
        for item in self.agenda().ledger.items:
            if item.status in {Status.WAITING, Status.BLOCKED} and item.conditions:
                event = waking(item, self.state.item(item.id), holds=self.holds(item))
                if event:
                    self.append(*event)
        agenda = self.agenda()
        for item in agenda.candidates:
            if agenda.phase(item, self.state) is None:  # blocked by a person when it was done, and let go on again
                self.append("item.status", {"item": item.id, "status": Status.DONE.value, "note": "complete"})

    def person(self) -> None:
        kind = self.draw(st.sampled_from(("", "", "", "clear", "reopen", "block", "prioritise")))
        if not kind:
            return
        name = self.draw(st.sampled_from([item.id for item in self.agenda().ledger.items]))
        self.append("override", {"id": str(len(self.events)), "kind": kind, "item": name, "note": "n", "level": "High"})

    def begin(self, role: Role, iteration: int) -> str:
        turn = f"run-1/{self.state.started + 1:04d}-{role.value}"
        self.append("turn.started", {"turn": turn, "role": role.value, "iteration": iteration, "base": "b"})
        return turn

    def abandon(self, turn: str, role: Role, charge: dict[str, Any] | None) -> None:
        data = {"turn": turn, "role": role.value, "charge": charge, "interrupted": False}
        self.append("turn.abandoned", data)

    def commit(self, record: TurnRecord, status: str, note: str) -> None:
        data = {"turn": record.turn, "record": record_to_data(record), "status": status, "note": note, "frozen": None}
        self.append("turn.committed", data)

    def supervise(self, agenda: Agenda) -> str | None:
        """Hand an item over, select, or fail; the focus, if an engineer is to follow."""
        iteration = self.state.iteration + 1
        turn = self.begin(Role.SUPERVISOR, iteration)
        act = self.draw(st.sampled_from(("hand over",) * 8 + ("select", "fail")))
        if act == "fail" or (act == "select" and check_selection(self.state.turns)):
            self.abandon(turn, Role.SUPERVISOR, None)
            return None
        focus = self.draw(st.sampled_from(agenda.candidates)) if act == "hand over" else None
        if focus is not None:
            statuses = {item.id: item.status for item in agenda.ledger.items}
            assert focus.status in {Status.PENDING, Status.IN_PROGRESS}
            assert all(statuses[needed] is Status.DONE for needed in focus.depends_on)
        verdict = Verdict.HANDOFF if focus else Verdict.SELECTION
        name = focus.id if focus else "FOCUS_SELECTION"
        dwell = self.state.item(name).dwell
        record = TurnRecord(
            turn, Role.SUPERVISOR, iteration, name, verdict, False, dwell, "A", (), (), "", "h/", "t", ()
        )
        self.commit(record, Status.IN_PROGRESS.value if focus else "", "")
        return focus.id if focus else None

    def facts(self, agenda: Agenda, focus: Item) -> Facts:
        """What an engineer may leave: nothing, evidence, failing tests in any number, verified rows."""
        kinds = self.draw(st.sets(st.sampled_from(("evidence", "tests", "row"))))
        changes = (PathChange("plans/active/X/reports/s/agent/n.md", "A", PathClass.EVIDENCE),)
        failing = tuple(f"t::{n}" for n in range(self.draw(st.integers(0, 4))))
        run = TestRun(("t",), 5, 5 - len(failing), len(failing), 0, 1.0, int(bool(failing)), "T", failing)
        rows = agenda.open_rows(focus, self.state)
        return Facts(
            "T",
            changes=changes if "evidence" in kinds else (),
            tests=(run,) if "tests" in kinds else (),
            rows=(RowResult(rows[0].id, RowVerdict.VERIFIED, ""),)
            if "row" in kinds and self.draw(st.booleans())
            else (),
        )

    def work(self, name: str) -> None:
        agenda, known = self.agenda(), self.state.item(name)
        focus = agenda.ledger.item(name)
        turn = self.begin(Role.ENGINEER, self.state.iteration)
        if self.draw(st.sampled_from((False,) * 5 + (True,))):
            fate = fate_of(focus, known, None, progress=False, reasons=("crashed",))
            charge = {"item": name, "dwell": fate.dwell, "status": fate.status.value, "note": fate.note}
            self.abandon(turn, Role.ENGINEER, charge)
            return
        judged = judge_engineer(self.facts(agenda, focus), known.failing, Rulebook(), tests_again=False)
        fate = fate_of(focus, known, agenda.plans[name], progress=judged.progress, verified=judged.verified)
        record = TurnRecord(
            turn,
            Role.ENGINEER,
            self.state.iteration,
            name,
            judged.verdict,
            judged.progress,
            fate.dwell,
            "A",
            judged.verified,
            judged.failing,
            "",
            "h/",
            "t",
            judged.reasons,
            "c",
        )
        self.commit(record, fate.status.value, fate.note)

    def steps(self) -> Iterator[Ending]:
        """Take iterations as the loop does; the ending, when there is one."""
        while True:
            limit = limit_reached(
                self.state, iterations=self.state.iteration, minutes=0, max_iterations=self.wanted, max_minutes=None
            )
            if limit:
                yield limit
                return
            self.wake()
            agenda = self.agenda()
            if not agenda.candidates:
                yield nothing_runnable(agenda.standings, self.state)
                return
            focus = self.supervise(agenda)
            if self.people:
                self.person()
            if focus and self.state.open_handoff:
                self.work(focus)


@settings(deadline=None, max_examples=60)
@given(documents(), st.data())
def test_no_history_with_people_in_it_breaks_a_promise(given_documents: dict[str, str], data: st.DataObject) -> None:
    history = History(given_documents, data.draw, people=True, wanted=12)
    history.append("run.started", {"run": "run-1", "branch": "loop/run-1", "base": "b", "worktree": "w"})
    try:
        (ending,) = history.steps()
    except ConfigError as error:
        assert "[LEDGER-CIRCLE]" in str(error) or "[LEDGER-UNKNOWN]" in str(error)  # noqa: PT017 -- no other is foreseen
        return
    assert ending.code in ENDS
    assert ending.reason
    assert fold(history.events) == history.state


@settings(deadline=None, max_examples=40)
@given(documents(), st.data())
def test_every_history_ends_by_itself(given_documents: dict[str, str], data: st.DataObject) -> None:
    history = History(given_documents, data.draw, people=False)
    history.append("run.started", {"run": "run-1", "branch": "loop/run-1", "base": "b", "worktree": "w"})
    try:
        agenda = history.agenda()
    except ConfigError:
        return
    rows = sum(len(plan.rows) for plan in agenda.plans.values())
    most_failing = 5  # of one turn: that many times the set of failing tests can shrink before it has to grow again
    patience = sum(limits_of(item)[2] for item in agenda.ledger.items)
    history.wanted = 4 * (1 + rows) * (1 + most_failing) * patience
    (ending,) = history.steps()
    assert ending.code in ENDS - {ExitCode.LIMIT}, "no limit was needed"
