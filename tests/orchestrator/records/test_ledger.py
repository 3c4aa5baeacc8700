"""The ledger: every field is read, an edit changes its own line only, and nothing can be forged by a value."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.errors import RecordError
from orchestrator.records.ledger import (
    Attempt,
    Kind,
    Priority,
    Status,
    parse_ledger,
    render_item,
    with_attempt,
    with_reports_hub,
    with_status,
)

LEDGER = """\
# Fix plan

What is to be done.

## Open

### [RECON-STAR-001] Reconstruct the star
- Depends on: None
- Priority: **High** (the main job)
- Status: in_progress — phase B
- Kind: study
- Owner/Date: someone, 2026-01-15
- Working Plan: `plans/active/RECON-STAR-001/implementation.md`
- Reports Hub: none
- Goals: an image
  - with spokes
- Exit Criteria: rows A1 to D3
- Attempts History:
  - *2026-01-15T22:58:50Z (turn 1):* it ran. Metrics: R 0.02 Artifacts: `plans/x/` Next Actions: phase B
    and more

Text between two items, and a table:

| a | b |

### [PARALLEL-API-INFERENCE] Without a number
- Depends on: RECON-STAR-001, CONFIG-001
- Priority: Low
- Status: **blocked** — no key
- Return Condition: file key.txt

## Closed
"""
ATTEMPT = Attempt("2026-01-16T00:00:00Z", "turn 2", "done.", "R 0.01", "`hub/`", "none")


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return [line for line in old if line not in new], [line for line in new if line not in old]


def test_every_field_of_an_item_is_read() -> None:
    ledger = parse_ledger(LEDGER)
    assert ledger.problems == ()
    first, second = ledger.items
    assert (first.id, first.title, first.line) == ("RECON-STAR-001", "Reconstruct the star", 7)
    assert (first.priority, first.status, first.status_note) == (Priority.HIGH, Status.IN_PROGRESS, "phase B")
    assert (first.kind, first.owner, first.depends_on) == (Kind.STUDY, "someone, 2026-01-15", ())
    assert first.working_plan == "plans/active/RECON-STAR-001/implementation.md"
    assert (first.reports_hub, first.goals) == ("", "an image\n- with spokes")
    assert first.attempts == (
        Attempt("2026-01-15T22:58:50Z", "turn 1", "it ran.", "R 0.02", "`plans/x/`", "phase B and more"),
    )
    assert second.depends_on == ("RECON-STAR-001", "CONFIG-001")
    assert (second.status, second.return_condition) == (Status.BLOCKED, "file key.txt")


def test_priorities_are_ordered() -> None:
    assert Priority.CRITICAL > Priority.HIGH > Priority.MEDIUM > Priority.LOW
    assert Priority.MEDIUM.label == "Medium"


def test_a_ledger_keeps_its_bytes() -> None:
    for text in (LEDGER, LEDGER.replace("\n", "\r\n"), "", "no items\n"):
        ledger = parse_ledger(text)
        assert ledger.preamble + "".join(item.raw for item in ledger.items) == text


def test_an_unknown_item_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(RecordError, match=r"docs/fix_plan.md: expected an item 'NO-1'.*RECON-STAR-001"):
        parse_ledger(LEDGER).item("NO-1")


def test_a_status_changes_its_own_line_only() -> None:
    text = with_status(LEDGER, "RECON-STAR-001", Status.WAITING, "until\nthe data is there")
    assert changed_lines(LEDGER, text) == (
        ["- Status: in_progress — phase B\n"],
        ["- Status: waiting — until the data is there\n"],
    )


def test_a_reports_hub_changes_its_own_line_only() -> None:
    text = with_reports_hub(LEDGER, "RECON-STAR-001", "plans/hub/")
    assert changed_lines(LEDGER, text) == (["- Reports Hub: none\n"], ["- Reports Hub: `plans/hub/`\n"])


def test_a_missing_field_is_added_below_the_others() -> None:
    text = with_reports_hub(LEDGER, "PARALLEL-API-INFERENCE", "plans/hub/")
    assert text == LEDGER.replace("key.txt\n", "key.txt\n- Reports Hub: `plans/hub/`\n")


def test_an_attempt_is_added_as_the_newest_and_last() -> None:
    text = with_attempt(LEDGER, "RECON-STAR-001", ATTEMPT)
    line = "  - *2026-01-16T00:00:00Z (turn 2):* done. Metrics: R 0.01 Artifacts: `hub/` Next Actions: none\n"
    assert text == LEDGER.replace("    and more\n", f"    and more\n{line}")
    assert parse_ledger(text).items[0].attempts[-1] == ATTEMPT


def test_a_missing_history_is_begun() -> None:
    text = with_attempt(LEDGER.rstrip("\n").removesuffix("\n\n## Closed"), "PARALLEL-API-INFERENCE", ATTEMPT)
    assert "file key.txt\n- Attempts History:\n  - *2026-01-16" in text


def test_line_ends_of_the_other_kind_are_kept() -> None:
    text = with_attempt(LEDGER.replace("\n", "\r\n"), "RECON-STAR-001", ATTEMPT)
    assert text.count("\n") == text.count("\r\n")


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (lambda: with_reports_hub(LEDGER, "RECON-STAR-001", "a\n### [X-001] forged"), "reports_hub"),
        (
            lambda: with_attempt(LEDGER, "RECON-STAR-001", replace(ATTEMPT, artifacts="", metrics="Artifacts: x")),
            "attempts",
        ),
        (lambda: with_attempt(LEDGER, "RECON-STAR-001", replace(ATTEMPT, stamp="a b")), "attempts"),
    ],
)
def test_an_edit_that_would_be_read_as_something_else_is_refused(edit: Callable[[], str], field: str) -> None:
    with pytest.raises(RecordError, match=f"item RECON-STAR-001: expected {field}"):
        edit()


def test_a_title_that_forges_a_field_is_refused() -> None:
    item = replace(parse_ledger(LEDGER).items[0], title="x\n- Status: done")
    with pytest.raises(RecordError, match="expected title"):
        render_item(item)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("in_progress — phase B", "donee", "10: expected a status, one of pending, in_progress, waiting, blocked, "
         "blocked_escalation, done, archived, found 'donee'"),
        ("**High**", "Hihg", "9: expected a priority, one of Critical, High, Medium, Low, found 'Hihg'"),
        ("Kind: study", "Kind: stduy", "11: expected a kind, one of code, study, research, docs, found 'stduy'"),
        ("- Depends on: None\n", "", "7: expected a line '- Depends on: …' in item 'RECON-STAR-001', found none"),
        ("- Depends on: None", "- Depens on: X-001", "8: expected a field, one of Depends on"),
        ("RECON-STAR-001, CONFIG-001", "RECON-STAR-001, soon", "27: expected ids separated by commas"),
        ("### [PARALLEL-API-INFERENCE] W", "### [PARALLEL-API-INFERENCE W", "26: expected a heading '### [ID] Title'"),
        ("PARALLEL-API-INFERENCE] W", "RECON-STAR-001] W", "26: expected each id once"),
        ("[PARALLEL-API-INFERENCE]", "[parallel]", "26: expected an id such as"),
        ("- Priority: Low", "- Status: done", "29: expected one 'Status' per item"),
        ("*2026-01-15T22:58:50Z (", "*yesterday (", "19: expected an attempt"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_reported_with_its_line(old: str, new: str, message: str) -> None:
    assert old in LEDGER
    found = [str(problem) for problem in parse_ledger(LEDGER.replace(old, new, 1)).problems]
    assert any(problem.startswith(f"docs/fix_plan.md:{message}") for problem in found), found


def test_an_item_whose_status_or_priority_cannot_be_read_cannot_be_chosen() -> None:
    text = LEDGER.replace("in_progress", "donee").replace("**High**", "**Hihg**")
    item = parse_ledger(text).items[0]
    assert (item.status, item.priority) == (Status.BLOCKED, Priority.LOW)


def test_fields_above_the_first_item_are_reported() -> None:
    found = parse_ledger(LEDGER.replace("### [RECON-STAR-001]", "[RECON-STAR-001]")).problems
    assert [problem.line for problem in found][:3] == [8, 9, 10]
