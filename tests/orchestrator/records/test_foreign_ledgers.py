"""Ledgers of other loops are read in every form, and become ledgers of ours that our reader takes."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.records.foreign.importing import import_ledger
from orchestrator.records.foreign.items import read_ledger
from orchestrator.records.ledger import Priority, Status, parse_ledger

MIXED = """\
# Fix Plan Ledger

**Last Updated:** 2025-12-28

## Index
| ID | Title | Priority | Status |
| --- | --- | --- | --- |
| [PERF-FFT-004](#perf-fft-004-fuse-kernels) | Fuse kernels | High | in_progress |
| [VECTOR-GAPS-002](#vector) | Vectorise the gaps | High | done (Phase H archived) |

---

### Tier 0: finish the engine
- [ARCH-FLOW-001] (Restore the gradient — all of it) — **partial** (2025-12-08: one — of two)
  - **Governed by:** GRADIENT-001
  - **Dependencies:** VECTOR-GAPS-002 (its hooks).
- [ARCH-SIM-001] (Simulator) — *blocked_pending_environment* (see `plans/x/`)

## [PERF-FFT-004] Fuse kernels
- Spec/AT: the roadmap
- Priority: **Critical** (unblocks all)
- Status: ~~blocked_escalation~~ → pending (CONFIG-001 resolved)
- Depends on: VECTOR-GAPS-002 ✅, ARCH\u2011FLOW\u2011001, `plans/ARCH-SIM-001/plan.md`, PERF-FFT-004, CONFIG-001, will
- Working Plan: `plans/active/PERF-FFT-004/plan.md`
- Exit Criteria (quote thresholds from the text):
  * one
    deeper
  * two
- Attempts History:
  * [2025-09-30] Attempt #1 — Result: partial.
    Metrics: n/a
    Next Actions: more
  * [2025-10-01] Attempt #2 — Result: success.
  * [2025-10-02] Attempt #1 — Result: again.

| Run | Status |
| CONFIG-001 | a table in a body |

```
### [FENCED-001] not an item
```
- [LISTED-001] is no item here
#### PERF-FFT-004 notes
---
more prose

### 2025-10-03T00:00:00Z — PERF-FFT-004.F1 (shipped)
- all of it

-### [MERGED-BY-HAND-001] A diff's mark before the heading
- Depends on: a pipeline without an id
- Priority: urgent
- Status: Phase 6 in progress — tasks 6.1 and 6.2
- Attempts History:
  - *2026-01-28T01:00:00Z (planning):* Made the plan.
-  - *2026-01-28T05:00:00Z (review):* Phase 1 complete.

### fix-lower-007: not bracketed, lower case
### [fix-lower-008] Lower case
- Status: ✅ COMPLETE — all of it
- Goals: First
  - and second
- Dependencies: None (free)

### [NO-STATUS-009] Nothing but a heading
## Completed
- Status: done
"""


def test_every_form_of_an_item_is_a_piece_in_the_order_of_the_file() -> None:
    found = read_ledger(MIXED, "old.md")
    assert [(piece.line, *piece.ids, *piece.values("status")) for piece in found.pieces] == [
        (8, "PERF-FFT-004", "in_progress"),
        (9, "VECTOR-GAPS-002", "done"),
        (13,),
        (14, "ARCH-FLOW-001", "partial"),
        (17, "ARCH-SIM-001", "blocked_pending_environment"),
        (19, "PERF-FFT-004", "pending"),
        (47, "PERF-FFT-004.F1", "shipped"),
        (50, "MERGED-BY-HAND-001", "phase"),
        (58,),
        (59, "fix-lower-008", "complete"),
        (65, "NO-STATUS-009"),
        (66, "done"),
    ]
    assert found.preamble + "".join(piece.raw for piece in found.pieces) == MIXED


def test_an_item_keeps_its_tables_bullets_code_and_deeper_headings() -> None:
    section = read_ledger(MIXED, "old.md").pieces[5]
    assert (section.end, section.title) == (46, "Fuse kernels")
    assert (37, "| CONFIG-001 | a table in a body |") in section.text
    assert (42, "- [LISTED-001] is no item here") in section.text
    assert section.values("exit_criteria") == ("  * one\n    deeper\n  * two",)
    assert [field.line for field in section.fields if field.name == "attempt"] == [30, 33, 34]


def test_what_a_ledger_says_twice_is_reported_with_both_lines() -> None:
    found = read_ledger(MIXED, "old.md")
    told = {entry.name: [(each.line, each.value) for each in entry.values] for entry in found.contradictions}
    assert told["status"] == [(8, "in_progress"), (22, "pending")]
    assert told["priority"] == [(8, "high"), (21, "critical")]
    assert [line for line, _ in told["attempt #1"]] == [30, 34]
    assert len(told) == 3


def test_attempts_that_share_a_number_are_reported_in_each_spelling() -> None:
    text = "### [A-001] T\n- Attempts History:\n  - #7 — one\n  - **#8:** two\n  - *2025-10-01 (Attempt 7):* other\n"
    (found,) = read_ledger(text, "x.md").contradictions
    assert (found.name, [value.line for value in found.values]) == ("attempt #7", [3, 5])


def test_a_second_section_of_one_item_is_reported() -> None:
    text = "### [A-001] One\n- Status: done\n### [A-001] Other\n- Status: done\n"
    (found,) = read_ledger(text, "x.md").contradictions
    assert (
        str(found.as_problem("x.md")) == "x.md:3: expected section '[A-001] One', as in line 1, found '[A-001] Other'"
    )


@pytest.mark.parametrize(
    ("text", "word", "note"),
    [
        ("done", "done", ""),
        ("**done** (Phase H)", "done", "Phase H"),
        ("COMPLETE ✅", "complete", "✅"),
        ("✅ FIXED — by d29efc91", "fixed", "by d29efc91"),
        ("✅", "done", "✅"),
        ("in progress (P3)", "in_progress", "P3"),
        ("`blocked` — see [x]", "blocked", "see [x]"),
        ("~~blocked_escalation~~ → pending", "pending", "~~blocked_escalation~~ → pending"),
        ("~~in_progress~~ → ~~blocked~~ → done (x)", "done", "~~in_progress~~ → ~~blocked~~ → done (x)"),
        ("pending -> in_review", "in_review", "pending -> in_review"),
        ("done — A → B moved", "done", "A → B moved"),
        ("~~pending~~", "", "~~pending~~"),
    ],
)
def test_a_status_is_one_word_and_the_prose_behind_it(text: str, word: str, note: str) -> None:
    (piece,) = read_ledger(f"## [A-001] T\n- Status: {text}\n", "x.md").pieces
    (found,) = [field for field in piece.fields if field.name == "status"]
    assert (found.value, found.note) == (word, note)


@pytest.mark.parametrize(
    ("line", "item_id", "title"),
    [
        ("## [A-B-001] Title", "A-B-001", "Title"),
        ("### [A-B-001](#anchor) — Title", "A-B-001", "Title"),
        ("#### ✅ [A-B-001]: Title", "A-B-001", "Title"),
        ("### A-B-001 Title", "A-B-001", "Title"),
        ("### PARALLEL-API-INFERENCE — Title", "PARALLEL-API-INFERENCE", "Title"),
        ("### A\u2011B\u2011001\u202f—\u202fTitle", "A-B-001", "Title"),
        ("- [A-B-001] (Title) — **done**", "A-B-001", "Title"),
        ("1. **[A-B-001] Title** — done", "A-B-001", "Title"),
        ("- [ ] [A-B-001]: Title", "A-B-001", "Title"),
        ("### GPU-CPU timing", "", ""),
        ("### Tier 1", "", ""),
        ("- see A-B-001", "", ""),
    ],
)
def test_an_item_is_known_by_its_id(line: str, item_id: str, title: str) -> None:
    found = read_ledger(f"# Plan\n{line}\n", "x.md")
    assert [(*piece.ids, piece.title) for piece in found.pieces] == ([(item_id, title)] if item_id else [])


def test_fields_that_share_a_line_are_apart() -> None:
    text = (
        "### [A-001] T\n- Owner/Date: me  - Working Plan: `p/x.md`  - Reports Hub: h/\n- Priority: High; Status: done\n"
    )
    (piece,) = read_ledger(text, "x.md").pieces
    assert [(field.name, field.value) for field in piece.fields] == [
        ("owner_date", "me"),
        ("working_plan", "p/x.md"),
        ("reports_hub", "h/"),
        ("priority", "high"),
        ("status", "done"),
    ]


def test_a_ledger_that_was_cut_short_is_reported() -> None:
    cut = MIXED[: MIXED.index("- Status: ✅")]
    assert "expected a newline" in str(read_ledger(cut[:-1], "x.md").problems[0])
    whole = "## [A-001] T\n- Status: done\n## [B-001] T\n- Priority: High\n"
    (problem,) = read_ledger(whole, "x.md").problems
    assert str(problem) == "x.md:4: expected a status in the last piece, as in the one above it, found the end"


def test_an_import_has_one_item_for_each_foreign_item() -> None:
    imported = import_ledger(MIXED, "old/fix_plan.md")
    ledger = parse_ledger(imported.text)
    assert ledger.problems == ()
    assert [(item.id, item.status, item.priority, item.depends_on) for item in ledger.items] == [
        ("PERF-FFT-004", Status.PENDING, Priority.CRITICAL, ("VECTOR-GAPS-002", "ARCH-FLOW-001")),
        ("VECTOR-GAPS-002", Status.DONE, Priority.HIGH, ()),
        ("ARCH-FLOW-001", Status.PENDING, Priority.MEDIUM, ("VECTOR-GAPS-002",)),
        ("ARCH-SIM-001", Status.BLOCKED, Priority.MEDIUM, ()),
        ("MERGED-BY-HAND-001", Status.BLOCKED, Priority.MEDIUM, ()),
        ("FIX-LOWER-008", Status.DONE, Priority.MEDIUM, ()),
        ("NO-STATUS-009", Status.BLOCKED, Priority.MEDIUM, ()),
    ]
    first = ledger.item("PERF-FFT-004")
    assert (first.owner, first.working_plan) == (
        "imported from old/fix_plan.md:19",
        "plans/active/PERF-FFT-004/plan.md",
    )
    assert first.exit_criteria == "* one\n  deeper\n* two"
    assert ledger.item("FIX-LOWER-008").goals == "First\n  - and second"
    assert ledger.item("MERGED-BY-HAND-001").status_note.startswith("phase 6 in progress")
    assert "blocked_pending_environment" in ledger.item("ARCH-SIM-001").status_note


def test_lists_below_a_bare_name_and_below_an_attempt_belong_to_it() -> None:
    text = "### [A-001] T\n**Exit Criteria**:\n- one\n- two\n- Goals:\n"
    text += "- Attempts History:\n  * first\n    - part\n  * second\n"
    (piece,) = read_ledger(text, "x.md").pieces
    assert piece.values("exit_criteria") == ("- one\n- two",)
    assert piece.values("attempt") == ("first\n    - part", "second")
    assert piece.values("goals") == ("",)


@pytest.mark.parametrize(
    ("text", "status", "note"),
    [
        ("done_with_environment_caveat (x)", Status.DONE, "done_with_environment_caveat x"),
        ("**done** (— all of it)", Status.DONE, "all of it"),
        ("SUPERSEDED by B-001", Status.ARCHIVED, "by B-001"),
        ("in_planning", Status.PENDING, ""),
        ("in_progress — phase B", Status.IN_PROGRESS, "phase B"),
        ("✅", Status.DONE, "✅"),
        ("quite odd", Status.BLOCKED, "quite odd"),
    ],
)
def test_a_status_is_imported_as_ours_with_its_prose(text: str, status: Status, note: str) -> None:
    (item,) = parse_ledger(import_ledger(f"## [A-001] T\n- Status: {text}\n", "x.md").text).items
    assert (item.status, item.status_note) == (status, note)


def test_an_import_names_what_stays_behind_with_its_line() -> None:
    notes = "\n".join(import_ledger(MIXED, "old.md").notes)
    for said in (
        "old.md:22: expected status 'in_progress', as in line 8, found 'pending'",
        "old.md:23: PERF-FFT-004: dependencies",
        "CONFIG-001, will' became VECTOR-GAPS-002, ARCH-FLOW-001",
        "old.md:19: PERF-FFT-004: 4 attempts and ",
        "old.md:52: MERGED-BY-HAND-001: priority 'URGENT' became Medium",
        "old.md:53: MERGED-BY-HAND-001: status 'phase 6 in progress — tasks 6.1 and 6.2': the item",
        "old.md:65: NO-STATUS-009: status 'its ledger names no status'",
    ):
        assert said in notes


ALPHABET = "#-*[]()|`~ \t\n\r:—→=>✅\u202f\u2011\ud800\x00\x85AZ09az._/"
PARTS = """### [A-001] §
### [B-C-2] x
§- Status: §
- Goals:
  §- Depends on: A-001§```§
| ID | Status |
§| A-001 | done |
§- [A-001] (t) — **done**
§
- Attempts History:
  * Attempt #1
§~~x~~ → §
#### 2025-10-03 — A-001.F1 (x)
"""
TEXT = st.lists(st.sampled_from(PARTS.split("§")) | st.text(ALPHABET, max_size=12), max_size=25).map("".join)


@settings(max_examples=300, deadline=None)
@given(TEXT, st.text(ALPHABET, max_size=5))
@example("### [A-001] T\r\n- Goals: x\r\n\r\n  - Status: done\r\n", "p")
@example("### [A-001] T\n- Status: done — — x\n- Reports Hub: `a``b`\n- Goals: \u3000\n", "p")
def test_whatever_is_imported_our_reader_takes_it(text: str, path: str) -> None:
    imported = import_ledger(text, path)
    ledger = parse_ledger(imported.text)
    assert ledger.problems == ()
    assert len({item.id for item in ledger.items}) == len(ledger.items)
    assert all("\n" not in note for note in imported.notes)


def test_a_working_plan_that_is_still_to_be_named_is_not_taken_for_a_path() -> None:
    text = "### [A-001] T\n- Status: pending\n- Working Plan: TBD (add `plans/a/plan.md` if promoted)\n"
    assert parse_ledger(import_ledger(text, "old.md").text).item("A-001").working_plan == ""
