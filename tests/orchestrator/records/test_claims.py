"""What a line of prose claims: counts of tests, commits, paths and exit codes; and what is no claim."""

from __future__ import annotations

import pytest

from orchestrator.policy.counts import Tally, agrees
from orchestrator.records.claims import ClaimKind, Said, read_claims


def found(line: str, kind: ClaimKind) -> list[Said]:
    return [said for said in read_claims(line) if said.kind is kind]


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("12 passed", [{"passed": 12}]),
        ("- Tests: 14/15 passed (1 intentional OOM skip), model factory 3/3, integration 2/2",
         [{"passed": 14, "of": 15, "skipped": 1}, {"passed": 3, "of": 3}, {"passed": 2, "of": 2}]),
        ("- Tests: 14 collected, 13 passed, 1 OOM skipped", [{"collected": 14, "passed": 13, "skipped": 1}]),
        ("- Tests PASSED: 12/13 (1 OOM skip)", [{"passed": 12, "of": 13, "skipped": 1}]),
        ("see pytest_a.log (14 tests, 13 passed)", [{"tests": 14, "passed": 13}]),
        ("51 failed, 1,449 passed, 12 skipped, 3 xfailed, 17 warnings in 120.3s",
         [{"failed": 51, "passed": 1449, "skipped": 12, "xfailed": 3}]),
        ("12 of 13 tests pass", [{"passed": 12, "of": 13}]),
        ("passed=12 failed=0", [{"passed": 12, "failed": 0}]),
        ("The suite collects 14 tests.", [{"collected": 14}]),
        ("46 failing tests remain", [{"failed": 46}]),
        ("8 reader tests pass; 3 writer tests pass", [{"passed": 8}, {"passed": 3}]),
        ("**3 passed** and ~~2 failed~~", [{"passed": 3}]),
        ("Phase 2 passed the review, step 3 failed, 3 jobs failed", []),
        ("validate that 2/5 tests pass; expect 5 passed; all tests should pass; Next: 4 passed", []),
        ("Task 2/3 and a scan of 4/5 frames", []),
        ("refused: claimed 'All 4 tests pass'", []),
        ("version 3.11 passed; DB-AT-010 passes", []),
    ],
)  # fmt: skip
def test_numbers_of_tests_are_read_with_what_they_count(line: str, counts: list[dict[str, int]]) -> None:
    assert [said.counts for said in found(line, ClaimKind.COUNTS)] == counts


@pytest.mark.parametrize(
    "line", ["All mapped tests pass.", "all green", "The full suite passes", "no test failures", "all 4 tests passed"]
)
def test_that_all_tests_pass_is_one_claim(line: str) -> None:
    assert [said.every for said in found(line, ClaimKind.COUNTS)] == [True]


@pytest.mark.parametrize(
    "line", ["previously 3 passed", "40 passed, up from 30", "in RED: 5 failed", "12 passed before"]
)
def test_what_is_said_of_the_past_is_not_firm(line: str) -> None:
    assert [said.firm for said in found(line, ClaimKind.COUNTS)] == [False]


def test_a_word_that_picks_some_tests_makes_the_count_one_of_a_part() -> None:
    assert [said.part for said in found("4 new tests pass", ClaimKind.COUNTS)] == [True]
    assert [said.part for said in found("4 mapped tests pass", ClaimKind.COUNTS)] == [False]


@pytest.mark.parametrize(
    ("line", "commits"),
    [
        ("Ralph commits c46e496a (integration test) + 5e1cf26f (evidence)", {"c46e496a": True, "5e1cf26f": True}),
        ("commit 37985157 landed", {"37985157": True}),
        ("focus=A-1 ralph_last_commit=37985157 artifacts=N/A", {"37985157": True}),
        ("the scan's SHA-256 begins with 1a2b3c4d5e6f", {}),
        ("commit d29efc91 holds data of sha256 5f2b3c4d", {"d29efc91": True}),
        ("see 1a2b3c4d5e", {"1a2b3c4d5e": False}),
        ("model_5e1cf26f.npz, #a1b2c3d4, 550e8400-e29b-41d4-a716-446655440000, 20251121", {}),
    ],
)
def test_hex_words_are_commits_unless_the_line_calls_them_something_else(line: str, commits: dict[str, bool]) -> None:
    assert {said.value: said.firm for said in found(line, ClaimKind.COMMIT)} == commits


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        ("pytest ended with exit code 0", ["0"]),
        ("exit_code=1, rc: 2, exited with code 3", ["1", "2", "3"]),
        ("exit criteria 3 and `sys.exit(0)`; it must exit 4", []),
    ],
)
def test_exit_codes_are_read(line: str, codes: list[str]) -> None:
    assert [said.value for said in found(line, ClaimKind.EXIT_CODE)] == codes


def test_paths_are_read_without_line_numbers_and_with_every_name_in_braces() -> None:
    line = "Wrote `ptycho/cache.py:12-40`, plans/active/A-1/{plan.md,log.txt} and reports/<STAMP>/x.log, *.png, https://a.b/c.md"
    paths = [said.value for said in found(line, ClaimKind.PATH)]
    assert paths == ["ptycho/cache.py", "plans/active/A-1/plan.md", "plans/active/A-1/log.txt"]


RUN = Tally(passed=12, skipped=1, xfailed=2, collected=14)


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("12 passed, 1 skipped, 2 xfailed", True),
        ("12 passed, 3 skipped", True),  # XML counts what was expected to fail as skipped
        ("14 collected", True),
        ("15 tests, 12 passed", True),  # one was skipped at collection
        ("12/12 passed (3 skipped)", True),
        ("13 passed", False),
        ("12 passed, 1 failed", False),
        ("13/13 passed", False),
    ],
)
def test_ways_of_counting_one_run_agree(line: str, right: bool) -> None:
    (said,) = found(line, ClaimKind.COUNTS)
    assert agrees(said, RUN) is right


def test_what_was_only_collected_says_nothing_of_outcomes() -> None:
    (said,) = found("0 failed", ClaimKind.COUNTS)
    assert not agrees(said, Tally(collected=4))
    assert str(Tally(collected=4)) == "4 collected"
