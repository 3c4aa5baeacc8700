"""Research: an outcome of a stated hypothesis counts, either way and once; what decides nothing does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.evidence.criteria import check_expectation, rows_digest
from orchestrator.records.plan import parse_plan

from .conftest import Project

Make = Callable[[str], Project]
REPORT = "MEAN-REPORT-001"
PLAN = """# MEAN-REPORT-001

## Phase A — find out
- [ ] A1: the mean is large
  - Hypothesis: the mean of the list is above ten
  - Run: `python report.py {hub}`
  - Expect: `report.json:mean > 10`

## Phase B — find out more
- [ ] B1: another value is large
  - Hypothesis: the median is above ten
  - Run: `python report.py {hub}`
  - Expect: `report.json:median > 10`
"""


def research(project: Project, kind: str) -> None:
    ledger = (project.root / "docs/fix_plan.md").read_text().replace("Depends on: MEAN-FIX-001", "Depends on: None")
    project.write("docs/fix_plan.md", ledger.replace("Kind: study", f"Kind: {kind}\n- Dwell Limits: 1/2/3"))
    project.write(f"plans/active/{REPORT}/implementation.md", PLAN)
    project.commit()


def test_a_refuted_hypothesis_is_an_outcome_and_one_that_nothing_decides_is_none(make_project: Make) -> None:
    project = make_project("good")
    research(project, "research")
    done = project.loop("--focus", REPORT)
    assert done.code == 12, done.said
    assert done.focus(REPORT)["verified"] == ["A1"]
    assert "A1 verified (mean = 0, asked > 10; so the hypothesis is refuted)" in done.said
    assert "B1: decides nothing: report.json:median > 10 (found None)" in done.said
    assert (done.focus(REPORT)["iterations"], done.focus(REPORT)["dwell"]) == (3, 2)


def test_a_hypothesis_in_an_item_of_another_kind_is_not_worked_on(make_project: Make) -> None:
    project = make_project("good")
    research(project, "study")
    done = project.loop("--focus", REPORT)
    assert done.summary["turns"] == 0
    assert f"plans/active/{REPORT}/implementation.md:4: `Hypothesis:` is for research" in done.said


@pytest.mark.parametrize(
    ("written", "decided"),
    [
        ("3", True),
        ("12.5", True),
        ("true", False),
        ('"much"', False),
        ("null", False),
        ("NaN", False),
        ("1e999", False),
    ],
)
def test_only_a_value_that_can_be_compared_decides(tmp_path: Path, written: str, decided: bool) -> None:
    (tmp_path / "a.json").write_text(f'{{"x": {written}}}')
    assert check_expectation("a.json:x > 10", tmp_path).decided is decided
    assert not check_expectation("a.json exists", tmp_path).decided
    assert not check_expectation("b.json:x > 10", tmp_path).decided


def test_a_hypothesis_is_frozen_with_its_row_and_needs_what_decides_it() -> None:
    plan = parse_plan(PLAN)
    assert plan.problems == ()
    assert plan.row("A1").hypothesis == "the mean of the list is above ten"
    without = PLAN.replace("  - Hypothesis: the mean of the list is above ten\n", "")
    assert rows_digest(parse_plan(without)) != rows_digest(plan)
    (problem,) = parse_plan(PLAN.replace("  - Expect: `report.json:mean > 10`\n", "")).problems
    assert "expected a `Run:` and an `Expect:` that decide the hypothesis" in str(problem)
