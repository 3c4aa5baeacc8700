"""Random records come back as they were; damaged documents never fall and never lose a record silently."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.records.findings import parse_findings
from orchestrator.records.handoff import Handoff, Step, StepKind, parse_handoff, render_handoff
from orchestrator.records.hub import FileEntry, Manifest, parse_manifest, render_manifest
from orchestrator.records.ledger import (
    Attempt,
    Item,
    Kind,
    Priority,
    Status,
    parse_ledger,
    render_item,
    with_attempt,
    with_reports_hub,
    with_status,
)
from orchestrator.records.memory import ActionState, Memory, MemoryEntry, parse_memory, render_entry
from orchestrator.records.plan import Phase, Plan, Row, RowState, parse_plan, with_ticks
from orchestrator.records.rows import TICKS
from orchestrator.records.summary import TurnSummary, parse_summary, with_turn
from orchestrator.records.text import decode, with_block

SEED = (Path(__file__).parents[2] / "data" / "seed_galph_memory.md").read_bytes()

# Prose holds letters and marks of many scripts and the odd blanks that real documents hold, none of their own marks.
PROSE = st.sampled_from("abcdeXYZ0189 .,;()=/_+~'\"é✅日𝒳\u2011\u202f\u0301\x85")
LINE = st.builds(lambda first, rest: f"{first}{rest}".strip(), st.sampled_from("aZéλ"), st.text(PROSE, max_size=20))
WORD = st.builds("{}{}".format, st.sampled_from("aZ"), st.text("abc019_./", max_size=10))
ID = st.builds(
    "{}-{}-{:03}".format,
    st.text("AZ", min_size=1, max_size=4),
    st.text("B9", min_size=1, max_size=4),
    st.integers(0, 999),
)
STAMP = st.datetimes().map(lambda time: f"{time:%Y-%m-%dT%H:%M:%SZ}".rjust(20, "0"))
COMMAND = st.lists(WORD, min_size=1, max_size=4).map(" ".join)
TEXTS = st.lists(LINE, min_size=1, max_size=3).map("\n".join)
OPTIONAL = st.none() | LINE


def unique(records: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(records, min_size=1, max_size=most, unique_by=lambda record: record.id).map(tuple)


@st.composite
def entries(draw: st.DrawFn) -> MemoryEntry:
    focus = draw(ID)
    return MemoryEntry(
        timestamp=draw(STAMP),
        title=f"{focus} — {draw(LINE)}",
        focus=focus,
        dwell=draw(st.integers(0, 99)),
        state=draw(st.sampled_from(ActionState)).value,
        focus_issue=draw(st.none() | LINE.map(lambda text: f"{focus} — {text}")),
        dwell_note=draw(OPTIONAL),
        action_type=draw(OPTIONAL),
        mode=draw(OPTIONAL),
        git_sync=draw(OPTIONAL),
        documents_reviewed=draw(OPTIONAL),
        ralph_last_commit=draw(st.none() | st.from_regex(r"[0-9a-f]{7,40}", fullmatch=True)),
        artifacts=draw(st.none() | WORD),
        next_action=draw(OPTIONAL),
        next_bullet=draw(st.none() | LINE.map(lambda text: f"Next: {text}")),
        body=draw(st.lists(LINE | LINE.map(lambda text: f"- {text}") | st.just("---"), max_size=4).map("\n".join)),
    )


ATTEMPT = st.builds(Attempt, STAMP, LINE, LINE, LINE | st.just(""), LINE | st.just(""), LINE | st.just(""))
ITEM = st.builds(
    Item,
    id=ID,
    title=LINE,
    depends_on=st.lists(ID, max_size=3).map(tuple),
    priority=st.sampled_from(Priority),
    status=st.sampled_from(Status),
    status_note=LINE | st.just(""),
    kind=st.sampled_from(Kind),
    owner=LINE | st.just(""),
    working_plan=WORD | st.just(""),
    reports_hub=WORD | st.just(""),
    engineer=LINE | st.just(""),
    goals=TEXTS | st.just(""),
    exit_criteria=TEXTS | st.just(""),
    return_condition=LINE | st.just(""),
    dwell_limits=st.just(()) | st.sets(st.integers(1, 999), min_size=3, max_size=3).map(lambda s: tuple(sorted(s))),
    attempts=st.lists(ATTEMPT, max_size=3).map(tuple),
)
NAME = st.text("abc01", min_size=1, max_size=6)
EXPECT = st.builds(
    "{}/{}.json:{} {} {}".format, NAME, NAME, NAME, st.sampled_from(["<=", ">=", "==", "<", ">"]), st.integers(-9, 9)
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    def row(letter: str, number: int) -> Row:
        run, test = draw(st.none() | COMMAND), draw(st.none() | COMMAND)
        most = 2 if run or test else 0
        expects = tuple(draw(st.lists(EXPECT, max_size=most)))
        return Row(
            id=f"{letter}{number}",
            phase=letter,
            text=draw(LINE),
            state=draw(st.sampled_from(RowState)),
            run=run,
            test=test,
            expects=expects,
            recheck=draw(st.none() | COMMAND) if run else None,
            limit_s=draw(st.none() | st.integers(1, 9999).map(float)) if most else None,
            needs=tuple(draw(st.lists(st.just(f"{letter}1") | WORD.map("data:{}".format), max_size=most))),
            allow_skip=tuple(draw(st.lists(LINE, max_size=2))),
            stochastic=draw(st.booleans()),
            hypothesis=draw(st.none() | LINE) if run and expects else None,
            implement=tuple(draw(st.lists(LINE, max_size=2))),
        )

    phases = []
    for letter in "ABC"[: draw(st.integers(1, 3))]:
        rows = tuple(row(letter, number) for number in range(1, draw(st.integers(1, 3)) + 1))
        texts = [draw(TEXTS | st.just("")) for _ in range(3)]
        phases.append(Phase(letter, draw(LINE), *texts, rows))
    return Plan(draw(LINE), tuple(draw(st.lists(WORD, max_size=2))), tuple(phases))


STEP = (
    st.builds(Step, st.just(StepKind.IMPLEMENT), LINE | st.just(""), path=WORD, symbol=st.none() | WORD)
    | st.builds(Step, st.sampled_from([StepKind.TEST, StepKind.RUN]), LINE | st.just(""), command=COMMAND)
    | st.builds(Step, st.just(StepKind.TEXT), LINE)
)
HANDOFF = st.builds(
    Handoff,
    summary=TEXTS,
    mode=LINE,
    focus=ID,
    focus_title=LINE | st.just(""),
    branch=WORD | st.just(""),
    mapped_tests=st.lists(WORD.map("tests/{}.py::test".format), max_size=3, unique=True).map(tuple),
    artifacts=WORD | st.just(""),
    do_now=st.lists(STEP, max_size=4).map(tuple),
    if_blocked=TEXTS | st.just(""),
    rationale=TEXTS | st.just(""),
    how_to=TEXTS | st.just(""),
    pitfalls=TEXTS | st.just(""),
    findings=st.lists(ID, max_size=3, unique=True).map(tuple),
    pointers=TEXTS | st.just(""),
    next_up=TEXTS,
)
HEADING = "| Finding ID | Date | Keywords | Synopsis | Evidence Pointer | Status |\n"
TURN = st.builds(
    TurnSummary,
    st.none() | STAMP,
    st.lists(LINE, min_size=3, max_size=5).map(tuple),
    LINE | st.just(""),
    LINE | st.just(""),
)
SHA256 = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
FILE = st.builds(
    FileEntry,
    st.text(PROSE, min_size=1, max_size=20)
    .filter(lambda text: ".." not in text and text.strip("./ "))
    .map("d/{}".format),
    st.integers(0, 2**40),
    SHA256,
    st.sampled_from(["harness", "agent"]),
    st.booleans(),
    st.none() | WORD,
)


def ledger_text(records: Iterable[Item]) -> str:
    return "# Plan\n\n" + "\n".join(map(render_item, records))


def plan_text(plan: Plan) -> str:
    """Write a plan in our form, as an agent or a person does."""
    lines = [f"# {plan.title}", *([f"- Evaluator: {', '.join(plan.evaluators)}"] if plan.evaluators else [])]
    for phase in plan.phases:
        lines.append(f"## Phase {phase.letter} — {phase.name}")
        for key, text in (("Goal", phase.goal), ("Prereqs", phase.prereqs), ("Exit Criteria", phase.exit_criteria)):
            lines += [f"- {key}: " + text.replace("\n", "\n  ")] if text else []
        for row in phase.rows:
            fields = [("Run", row.run), ("Test", row.test), *(("Expect", text) for text in row.expects)]
            fields += [("Recheck", row.recheck), ("Limit", f"{row.limit_s:.12g} s" if row.limit_s else "")]
            fields += [
                ("Hypothesis", row.hypothesis),
                ("Needs", ", ".join(row.needs)),
                ("Stochastic", "yes" if row.stochastic else ""),
            ]
            fields += [
                (key, text)
                for key in ("Allow-skip", "Implement")
                for text in getattr(row, key.lower().replace("-", "_"))
            ]
            lines.append(f"- [{TICKS[row.state]}] {row.id}: {row.text}")
            lines += [f"  - {key}: {text}" for key, text in fields if text]
    return "\n".join(lines) + "\n"


@given(st.lists(entries(), min_size=1, max_size=4).map(tuple))
def test_random_entries_come_back(records: tuple[MemoryEntry, ...]) -> None:
    found = parse_memory(reduce(with_block, map(render_entry, records), "# Memory\n"))
    assert (found.entries, found.problems) == (records, ())


@given(unique(ITEM))
def test_random_items_come_back(records: tuple[Item, ...]) -> None:
    found = parse_ledger(ledger_text(records))
    assert (found.items, found.problems) == (records, ())


@given(unique(ITEM), st.data())
def test_an_edit_of_a_random_ledger_changes_one_item_only(records: tuple[Item, ...], data: st.DataObject) -> None:
    text = ledger_text(records)
    item = data.draw(st.sampled_from(records))
    attempt, status = data.draw(ATTEMPT), data.draw(st.sampled_from(Status))
    edited = with_attempt(with_status(text, item.id, status, "note"), item.id, attempt)
    edited = with_reports_hub(edited, item.id, "hub/")
    found = parse_ledger(edited)
    assert found.item(item.id).attempts == (*item.attempts, attempt)
    assert (found.item(item.id).status, found.item(item.id).reports_hub) == (status, "hub/")
    assert [other for other in found.items if other.id != item.id] == [other for other in records if other != item]
    assert len(set(edited.split("\n")) - set(text.split("\n"))) <= 4


@given(plans())
def test_random_plans_come_back(plan: Plan) -> None:
    found = parse_plan(plan_text(plan))
    assert (found, found.problems) == (plan, ())


@given(plans(), st.data())
def test_ticks_of_a_random_plan_change_brackets_only(plan: Plan, data: st.DataObject) -> None:
    text = plan_text(plan)
    ticks = {row.id: data.draw(st.sampled_from(RowState)) for row in plan.rows}
    ticked = with_ticks(text, ticks)
    assert {row.id: row.state for row in parse_plan(ticked).rows} == ticks
    assert [line[6:] for line in ticked.split("\n")] == [line[6:] for line in text.split("\n")]


@given(HANDOFF)
def test_random_handoffs_come_back(handoff: Handoff) -> None:
    found = parse_handoff(render_handoff(handoff))
    assert (found, found.problems) == (handoff, ())


@given(st.lists(TURN, min_size=1, max_size=4))
def test_random_turns_come_back_newest_first(turns: list[TurnSummary]) -> None:
    text = "# Summary\n"
    for turn in reversed(turns):
        text = with_turn(text, turn)
    found = parse_summary(text)
    assert (found.turns, found.problems) == (tuple(turns), ())


@given(st.lists(FILE, max_size=4).map(tuple))
def test_random_manifests_come_back(files: tuple[FileEntry, ...]) -> None:
    manifest = Manifest("turn", "tree", files)
    assert parse_manifest(render_manifest(manifest)) == manifest


@dataclass(frozen=True)
class Sample:
    """One document with several records, and how it is read and counted."""

    data: bytes
    parse: Callable[[str, str], Any]
    count: Callable[[Any], int]
    render: Callable[[Any], str] | None = None


PLAN = """\
# A-001 — Title

- Evaluator: `a.py`

## Phase A — Load
- Goal: a scan

- [ ] A1: load it
  - Run: `python -m x`
  - Expect: m.json:a <= 1
- [x] A2: look at it
  - Test: `pytest tests/a.py`

## Phase B — Reconstruct

- [P] B1: the first
- [ ] B2: the second
  - Run: `true`
  - Needs: A1
"""
LEDGER = """\
# Plan

### [A-001] First
- Depends on: None
- Priority: **High**
- Status: pending
- Attempts History:
  - *2026-01-15T22:58:50Z (turn 1):* it ran.

### [B-001] Second
- Depends on: A-001
- Priority: Low
- Status: blocked — why

### [C-001] Third
- Depends on: A-001, B-001
- Priority: Medium
- Status: done
"""
FINDINGS = HEADING + "".join(f"| CONFIG-00{n} | 2026-01-15 | key | what | where | Active |\n" for n in range(4))
SUMMARY = "# Summary\n"
for _turn in range(3):
    SUMMARY = with_turn(SUMMARY, TurnSummary("2026-01-15T22:58:50Z", ("one", "two", "three"), "progress", "hub/"))
MANIFEST = render_manifest(Manifest("t", "T", tuple(FileEntry(f"{n}.log", n, "0" * 64, "agent") for n in range(3))))
HANDOFF_TEXT = render_handoff(Handoff(summary="s", mode="TDD", focus="A-001", next_up="n"))


def written(memory: Memory) -> str:
    """Return the file that was read."""
    return memory.preamble + "".join(entry.raw for entry in memory.entries)


SAMPLES = {
    "memory": Sample(SEED, parse_memory, lambda memory: len(memory.entries), written),
    "ledger": Sample(LEDGER.encode(), parse_ledger, lambda ledger: len(ledger.items)),
    "plan": Sample(PLAN.encode(), parse_plan, lambda plan: len(plan.rows)),
    "findings": Sample(FINDINGS.encode(), parse_findings, lambda found: len(found.findings)),
    "summary": Sample(SUMMARY.encode(), parse_summary, lambda summary: len(summary.turns)),
    "manifest": Sample(MANIFEST.encode(), parse_manifest, lambda manifest: len(manifest.files)),
    "handoff": Sample(HANDOFF_TEXT.encode(), parse_handoff, lambda _: 0, render_handoff),
}
NAMES = st.sampled_from(sorted(SAMPLES))


def read(sample: Sample, data: bytes) -> tuple[Any, int]:
    """Read damaged bytes; every problem names the path and a line of the file, and nothing is lost on writing."""
    text, undecoded = decode(data, "x.md")
    document = sample.parse(text, "x.md")
    lines = text.count("\n") + 1
    for problem in (*undecoded, *document.problems):
        assert str(problem).startswith(f"x.md:{problem.line}: expected ")
        assert 1 <= problem.line <= lines
    if sample.render is not None:
        assert sample.render(document).encode("utf-8", "surrogateescape") == data
    return document, len(undecoded) + len(document.problems)


@settings(max_examples=300, derandomize=True)  # flips side by side can imitate a whole document: fixed examples
@given(NAMES, st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=3))
def test_no_record_is_lost_silently_when_bytes_flip(name: str, flips: list[tuple[int, int]]) -> None:
    sample = SAMPLES[name]
    data = bytearray(sample.data)
    for position, value in flips:
        data[position % len(data)] = value
    document, problems = read(sample, bytes(data))
    whole, none = read(sample, sample.data)
    assert none == 0
    assert sample.count(document) >= sample.count(whole) or problems > 0


@settings(max_examples=300)
@given(NAMES, st.integers(0, 10**6))
def test_no_record_is_cut_short_silently(name: str, position: int) -> None:
    sample = SAMPLES[name]
    cut = sample.data[: position % len(sample.data)]
    document, problems = read(sample, cut)
    again, _ = read(sample, cut.rstrip() + b"\n")
    begins_a_line = cut.endswith(b"\n") or not cut
    if not begins_a_line and name != "handoff":
        assert problems > 0
    assert sample.count(again) >= sample.count(document)


@settings(max_examples=200)
@given(
    NAMES, st.binary(max_size=200) | st.text(st.sampled_from("#-[]x: ABfocus=`|*\n—1"), max_size=200).map(str.encode)
)
def test_no_bytes_make_a_reader_fall(name: str, data: bytes) -> None:
    read(SAMPLES[name], data)


@pytest.mark.parametrize("name", ["memory", "ledger", "plan", "findings"])
def test_every_line_that_starts_a_record_leaves_a_problem_when_it_is_lost(name: str) -> None:
    sample = SAMPLES[name]
    lines = sample.data.splitlines(keepends=True)
    document, _ = read(sample, sample.data)
    for index in range(len(lines)):
        shorter = b"".join(lines[:index] + lines[index + 1 :])
        left, problems = read(sample, shorter)
        assert sample.count(left) == sample.count(document) or problems > 0 or name in {"plan", "findings"}
