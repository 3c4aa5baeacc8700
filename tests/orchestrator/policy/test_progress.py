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
from orchestrator.policy.progress import Judgement, gained_by_tests, is_gain, judge_engineer, to_beat
from orchestrator.policy.rules import Rulebook
from orchestrator.policy.signatures import is_announced, masked, repeated, signatures_of


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
        ("PROGRESS-EXECUTED", replace(CODE, code=CodeDiff({}, ("a",)), tests=(run_of(4, 0, executed=()),)), False),
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
        replace(CODE, code=CodeDiff({}, (), ("beam.c",)), tests=(run_of(4, 0, executed=()),)),
        replace(CODE, code=CodeDiff({}, ("data.yaml",)), tests=(run_of(4, 0, executed=("data.yaml",)),)),
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


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("KeyError: 'a'", "KeyError: 'b'", False),
        ("AssertionError: assert 3 == -4.5e3", "AssertionError: assert 17 == 0.2", True),
        ("ValueError: at 0x7f3a in /tmp/pytest-of-u/pytest-3/x", "ValueError: at 0x9 in /var/tmp/another/y", True),
        ("OSError: commit 3f2a9c1 is gone", "OSError: commit 77ab01de2 is gone", True),
        ("AssertionError: assert a1 == b2", "AssertionError: assert a1 == b3", False),
        ("TypeError: 3 arguments", "ValueError: 3 arguments", False),
    ],
)
def test_a_signature_tells_faults_apart_and_not_their_numbers_and_places(one: str, other: str, same: bool) -> None:
    assert (masked(one) == masked(other)) is same


def test_an_announced_failure_has_the_exception_and_part_of_the_message() -> None:
    cause = "ValueError: expected 3 rows, came 4\nin /tmp/a/b"
    assert is_announced(cause, "ValueError: expected 7 rows")
    assert is_announced(cause, "ValueError")
    assert not is_announced(cause, "TypeError")
    assert not is_announced(cause, "ValueError: expected columns")
    assert not is_announced(cause, "")


def series(*turns: tuple[bool, Collection[str]]) -> list[TurnRecord]:
    """Turns of an engineer that failed so, each behind one of the supervisor."""
    handoff = replace(turn(False), role=Role.SUPERVISOR)
    return [each for progress, failed in turns for each in (handoff, replace(turn(progress), failures=tuple(failed)))]


def test_a_failure_is_repeated_when_it_comes_back_without_progress() -> None:
    assert repeated(series((False, "ab"), (False, "bc"))) == {"b": 2}
    assert repeated(series((False, "b"), (True, "b"), (False, "b"))) == {"b": 3}
    assert repeated(series((False, "b"), (False, "a"), (False, "b"))) == {}
    assert repeated(series((False, "b"))) == repeated([]) == {}
    falling = [[str(n) for n in range(number)] for number in (51, 46, 43, 41, 38, 35, 24, 16)]
    for end in range(1, len(falling)):
        assert repeated(series(*((True, failed) for failed in falling[: end + 1]))) == {}


def test_what_the_machine_lacks_has_no_signature() -> None:
    excused = {"t::0": "environment: no lib", "t::1": "pre-existing: so"}
    run = run_of(0, 3, causes={"t::1": "A: 1", "t::2": "B: 2"}, excused=excused)
    assert signatures_of(replace(CODE, tests=(run, run))) == ("t::1: A: <number>", "t::2: B: <number>")


def test_code_without_a_criterion_is_progress_for_a_while() -> None:
    churn = replace(turn(True, "production code changed and 1 mapped tests pass"), failing=("row A1", "t::1"))
    idle = replace(churn, progress=False)
    assert to_beat([churn] * 3, 4) is None
    assert to_beat([churn, idle] * 4, 4) == 2
    fewer, verified = replace(churn, failing=("row A1",)), replace(churn, verified=("A1",))
    assert to_beat([*[churn] * 4, fewer, churn], 4) is None
    assert to_beat([*[churn] * 4, verified, churn], 4) is None
    facts = replace(CODE, tests=(run_of(4, 0),), rows=(RowResult("A1", RowVerdict.FAILED, "2 failing"),))
    late = judge_engineer(facts, (), Rulebook(), must_beat=1)
    assert not late.progress
    assert "[PROGRESS-CRITERION]" in str(late.reasons)
    assert judge_engineer(facts, (), Rulebook(), must_beat=2).progress
    assert judge_engineer(facts, (), Rulebook({"PROGRESS-CRITERION": "report"}), must_beat=1).progress
