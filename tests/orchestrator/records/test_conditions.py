"""Return conditions: the forms a machine can evaluate, and everything else, which is for a person."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestrator.records.conditions import ConditionKind, due_time, machine_can_tell, parse_conditions
from orchestrator.records.ledger import parse_ledger


@pytest.mark.parametrize(
    ("text", "kind", "subject"),
    [
        ("MEAN-FIX-001 done", ConditionKind.ITEM, "MEAN-FIX-001"),
        ("`MEAN-FIX-001` is done", ConditionKind.ITEM, "MEAN-FIX-001"),
        ("finding CONFIG-001 resolved", ConditionKind.FINDING, "CONFIG-001"),
        ("after 2026-12-01T00:00Z", ConditionKind.TIME, "2026-12-01T00:00Z"),
        ("after 2026-12-01", ConditionKind.TIME, "2026-12-01"),
        ("file data/scan.h5 exists", ConditionKind.FILE, "data/scan.h5"),
        ("file `my data/scan.h5` exists", ConditionKind.FILE, "my data/scan.h5"),
        ("command `python probe.py --ready` exits 0", ConditionKind.COMMAND, "python probe.py --ready"),
        ("file data/scan.h5 exists, says the beamline", ConditionKind.PERSON, None),
        ("after the beam time", ConditionKind.PERSON, None),
        ("MEAN-FIX-001 done well", ConditionKind.PERSON, None),
        ("command rm exits 0", ConditionKind.PERSON, None),
    ],
)
def test_a_condition_is_what_its_whole_line_says(text: str, kind: ConditionKind, subject: str | None) -> None:
    (condition,) = parse_conditions(text)
    assert (condition.kind, condition.subject, condition.text) == (kind, subject or text, text)
    assert machine_can_tell([condition]) is (kind is not ConditionKind.PERSON)


def test_of_several_lines_each_is_a_condition_and_one_for_a_person_makes_all_of_them_so() -> None:
    two = parse_conditions("- MEAN-FIX-001 done\n- file a exists\n")
    assert [condition.kind for condition in two] == [ConditionKind.ITEM, ConditionKind.FILE]
    assert machine_can_tell(two)
    assert not machine_can_tell(parse_conditions("MEAN-FIX-001 done\nand somebody says so"))
    assert not machine_can_tell(parse_conditions(""))


def test_a_time_without_a_zone_is_utc() -> None:
    for text in ("after 2026-12-01", "after 2026-12-01T00:00Z", "after 2026-12-01T01:00+01:00"):
        assert due_time(*parse_conditions(text)) == datetime(2026, 12, 1, tzinfo=UTC)


ITEM = "### [A-A-001] t\n- Depends on: None\n- Priority: High\n- Status: blocked\n"


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("Return Condition: after 2026-13-01", "docs/fix_plan.md:5: expected a time such as"),
        ("Return Condition: command `a | b` exits 0", "docs/fix_plan.md:5: expected a command without a shell"),
        ("Return Condition: command `a {hub}` exits 0", "docs/fix_plan.md:5: expected no other placeholders"),
        ("Dwell Limits: 3/5", "docs/fix_plan.md:5: expected three growing numbers"),
        ("Dwell Limits: 5/5/8", "docs/fix_plan.md:5: expected three growing numbers"),
        ("Dwell Limits: 0/5/8", "docs/fix_plan.md:5: expected three growing numbers"),
        ("Dwell Limits: 3/5/8", ""),
        ("Return Condition: a person says so", ""),
    ],
)
def test_a_condition_or_limit_that_cannot_be_meant_is_named_with_its_line(field: str, said: str) -> None:
    problems = [str(problem) for problem in parse_ledger(f"{ITEM}- {field}\n").problems]
    assert len(problems) == bool(said), problems
    assert all(problem.startswith(said) for problem in problems)
