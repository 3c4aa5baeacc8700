"""What counts as progress, on facts made by hand."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from orchestrator.facts import (
    Claim,
    CodeDiff,
    Facts,
    PathChange,
    PathClass,
    Role,
    RowResult,
    RowVerdict,
    TestRun,
    TurnRecord,
    Verdict,
)
from orchestrator.policy.progress import Judgement, gained_by_tests, is_gain, judge_engineer
from orchestrator.policy.rules import Rulebook


def run_of(passed: int, failed: int, **changes: object) -> TestRun:
    failing = tuple(f"t::{n}" for n in range(failed))
    run = TestRun(("t",), passed + failed, passed, failed, 0, 1.0, int(bool(failed)), "T", failing)
    return replace(run, **{"executed": ("calc.py::mean",), **changes})  # type: ignore[arg-type]


PRODUCTION = (PathChange("calc.py", "M", PathClass.PRODUCTION),)
TESTS = (PathChange("tests/test_a.py", "A", PathClass.TESTS),)
EVIDENCE = (PathChange("plans/active/X-001/reports/s/agent/n.md", "A", PathClass.EVIDENCE),)
CODE = Facts("T", changes=PRODUCTION, code=CodeDiff({"calc.py": {"mean": 4}}), tests=(run_of(4, 0),))
NEW = ("tests/test_a.py::test_new",)
NEW_TEST = Facts("T", changes=TESTS, new_tests=NEW, tests=(run_of(4, 0, executed=()),))


def judge(facts: Facts, before: Collection[str] = (), *, again: bool = False, **chosen: str) -> Judgement:
    rulebook = Rulebook({name.replace("_", "-"): severity for name, severity in chosen.items()})
    return judge_engineer(facts, before, rulebook, tests_again=again)


def test_a_falling_number_of_failing_tests_is_progress_and_not_a_stall() -> None:
    before = tuple(f"t::{n}" for n in range(51))
    for failing in (46, 43, 41, 38, 35, 24, 16):
        fixed = tuple(f"t::{n}" for n in range(failing, len(before)))
        judged = judge(replace(CODE, tests=(run_of(10, failing, fixed=fixed),)), before)
        assert judged.progress, failing
        before = judged.failing


def test_fewer_failing_tests_are_no_progress_where_they_were_only_not_run() -> None:
    before = tuple(f"t::{n}" for n in range(16))
    assert not judge(replace(CODE, tests=(run_of(10, 3),)), before).progress


def test_the_same_failing_tests_with_new_evidence_are_no_progress() -> None:
    before = tuple(f"t::{n}" for n in range(16))
    judged = judge(Facts("T", changes=EVIDENCE, tests=(run_of(10, 16),)), before)
    assert (judged.verdict, judged.progress) == (Verdict.NO_PROGRESS, False)


def test_other_failing_tests_instead_of_fewer_are_no_progress() -> None:
    assert not judge(replace(CODE, tests=(run_of(0, 1, fixed=("t::8",)),)), ("t::7", "t::8")).progress


def test_skipped_tests_do_not_make_production_code_pass() -> None:
    run = run_of(3, 0, skipped=1, collected=4)
    assert not run.ok
    assert not judge(replace(CODE, tests=(run,))).progress
    assert judge(CODE).progress


def test_a_contradicted_claim_takes_back_everything_but_verified_rows() -> None:
    claim = Claim("summary.md", 3, "9 passed", "4 passed", contradicted=True)
    facts = replace(CODE, claims=(claim,))
    assert judge(facts).verdict is Verdict.REFUSED
    row = RowResult("A1", RowVerdict.VERIFIED, "")
    assert judge(replace(facts, rows=(row,))).verdict is Verdict.PROGRESS


def test_a_failure_that_is_not_charged_hinders_nothing_and_is_named() -> None:
    run = run_of(4, 1, excused={"t::0": "pre-existing: it failed before"})
    judged = judge(replace(CODE, tests=(run,)))
    assert judged.progress
    assert judged.failing == ("t::0",)
    assert "not charged: t::0 (pre-existing: it failed before)" in judged.reasons


@pytest.mark.parametrize(
    ("rule", "facts", "again"),
    [
        ("PROGRESS-CODE", replace(CODE, code=CodeDiff()), False),
        ("PROGRESS-EXECUTED", replace(CODE, tests=(run_of(4, 0, executed=()),)), False),
        ("PROGRESS-TESTS", NEW_TEST, False),
        ("PROGRESS-AGAIN", replace(NEW_TEST, proving=NEW), True),
        ("PROGRESS-AGAIN", replace(NEW_TEST, announced=NEW), True),
    ],
)
def test_a_diff_that_proves_nothing_is_discounted_by_one_rule(rule: str, facts: Facts, again: bool) -> None:
    judged = judge(facts, again=again)
    assert not judged.progress
    assert [reason.rpartition("[")[2] for reason in judged.reasons] == [f"{rule}]"]
    assert judge(facts, again=again, **{rule.replace("-", "_"): "report"}).progress


@pytest.mark.parametrize(
    "facts",
    [
        CODE,
        replace(CODE, code=CodeDiff({}, ("data.yaml",)), tests=(run_of(4, 0, executed=()),)),
        replace(NEW_TEST, proving=NEW),
        replace(NEW_TEST, announced=NEW, tests=(run_of(3, 1),)),
    ],
)
def test_a_diff_that_proves_something_is_progress(facts: Facts) -> None:
    judged = judge(facts)
    assert judged.progress
    assert is_gain(judged.reasons[0])
    assert "[PROGRESS" not in str(judged.reasons)


def turn(progress: bool, *reasons: str) -> TurnRecord:
    verdict = Verdict.PROGRESS if progress else Verdict.NO_PROGRESS
    return TurnRecord("t", Role.ENGINEER, 1, "X-001", verdict, progress, 0, "", (), (), "", "", "", reasons)


def test_tests_alone_were_the_last_progress_whatever_came_after_them() -> None:
    by_tests = turn(True, *judge(replace(NEW_TEST, proving=NEW)).reasons)
    by_code = turn(True, *judge(CODE).reasons)
    assert gained_by_tests([by_code, by_tests])
    assert gained_by_tests([by_code, by_tests, turn(False, "nothing")])
    assert not gained_by_tests([by_tests, by_code, turn(False, "nothing")])
    assert not gained_by_tests([])
