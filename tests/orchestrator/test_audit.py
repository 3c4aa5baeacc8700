"""The audit: every claim judged with both places told; real traps that give no alarm; trees that are damaged."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import main

from .conftest import Project

ITEM = "PART-WORK-001"
HUB = f"plans/active/{ITEM}/reports/2026-01-08T210000Z/"
BAR = "=" * 20
DATA = Path(__file__).resolve().parents[1] / "data"


def log(*tests: str, summary: str, collected: int | None = None) -> str:
    """What pytest -v prints; a test is `name OUTCOME`."""
    count = len(tests) if collected is None else collected
    lines = [f"{BAR} test session starts {BAR}", f"collected {count} items", ""]
    return "\n".join(
        [*lines, *(f"tests/test_part.py::{test} [ 50%]" for test in tests), f"{BAR} {summary} in 1.20s {BAR}", ""]
    )


GREEN = log("test_a PASSED", "test_b PASSED", "test_c PASSED", summary="3 passed")
MIXED = log("test_a PASSED", "test_b PASSED", "test_c FAILED", summary="1 failed, 2 passed")
COLLECTED = (
    "tests/test_part.py::test_a\ntests/test_part.py::test_b\ntests/test_part.py::test_c\n\n3 tests collected in 0.10s\n"
)
NOTHING = f"{BAR} test session starts {BAR}\ncollected 0 items\n\n{BAR} no tests ran in 0.01s {BAR}\n"


def xml(passed: int, failed: int = 0, skipped: int = 0, xfailed: int = 0) -> str:
    inner = ["", "<failure/>", '<skipped type="pytest.skip"/>', '<skipped type="pytest.xfail"/>']
    kinds = [what for what, count in zip(inner, (passed, failed, skipped, xfailed), strict=True) for _ in range(count)]
    cases = "".join(
        f'<testcase classname="tests.test_part" name="test_{n}">{what}</testcase>' for n, what in enumerate(kinds)
    )
    counts = f'tests="{len(kinds)}" failures="{failed}" errors="0" skipped="{skipped + xfailed}"'
    return f'<?xml version="1.0"?>\n<testsuites>\n<testsuite {counts}>{cases}</testsuite></testsuites>\n'


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def summary(sentence: str, hub: str = HUB) -> dict[str, str]:
    return {f"plans/active/{ITEM}/summary.md": f"### Turn Summary\n{sentence}\nArtifacts: {hub}\n"}


def entry(sentence: str, stamp: str = "2026-01-08T21:00:00Z", hub: str = HUB) -> str:
    return (
        f"# {stamp}: {ITEM} — a part\n\n- dwell: 0\n- Focus issue: {ITEM} — a part\n{sentence}\n"
        "- <Action State>: [planning]\n"
        f"- focus={ITEM} state=planning dwell=0 ralph_last_commit=none artifacts={hub} next_action=go on, 9 failed\n\n"
    )


@pytest.fixture
def audit(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Audit a tree and return what was found, with the exit code."""

    def run(*paths: Path) -> dict[str, Any]:
        code = main(["audit", *map(str, paths), "--json"])
        (found, *_) = json.loads(capsys.readouterr().out)
        return {**found, "code": code}

    return run


def of(found: dict[str, Any], kind: str = "counts") -> list[str]:
    return [claim["judgement"] for claim in found["claims"] if claim["kind"] == kind]


@pytest.mark.parametrize(
    ("sentence", "files", "judgement"),
    [
        ("3 passed.", {"pytest.log": GREEN}, "confirmed"),
        ("3/3 tests pass.", {"junit.xml": xml(3)}, "confirmed"),
        ("All mapped tests pass.", {"pytest.log": GREEN}, "confirmed"),
        ("3 passed.", {"results.json": '{"passed": 3, "failed": 0, "collected": 3}'}, "confirmed"),
        ("3 passed.", {"report.json": '{"exitcode": 0, "summary": {"passed": 3, "total": 3}}'}, "confirmed"),
        ("3 passed.", {"pytest.log": MIXED}, "contradicted"),
        ("All mapped tests pass.", {"pytest.log": MIXED}, "contradicted"),
        ("4 passed.", {"pytest.log": GREEN}, "contradicted"),
        ("4 tests collected.", {"pytest_collect.log": COLLECTED}, "contradicted"),
        ("pytest_a.log: 3 passed.", {"pytest_a.log": MIXED, "pytest_b.log": GREEN}, "contradicted"),
        ("`tests/test_part.py` 3/3 passed.", {"pytest.log": MIXED}, "contradicted"),
        ("The reader: 3 passed.", {"pytest_reader.log": MIXED, "writer.log": "1 passed in 0.1s\n"}, "contradicted"),
        ("The reader: 3 passed.", {"pytest_writer.log": MIXED}, "unverifiable"),
        ("After the reader (whole fix): 236 passed.", {"reader_fix.log": GREEN}, "unverifiable"),
        ("The full suite: 500 passed.", {"pytest.log": GREEN}, "unverifiable"),
        ("500 passed.", {"pytest.log": GREEN}, "unverifiable"),
        ("`pytest.log` (the green phase (4 passed))", {"pytest.log": GREEN}, "contradicted"),
        ("Total: 4 passed, 0 failed.", {"pytest.log": GREEN}, "contradicted"),
        ("4 passed, 1 failed (pre-existing).", {"pytest.log": MIXED}, "contradicted"),
        ("The full suite: 4 passed in ~45s.", {"pytest_full.log": GREEN}, "contradicted"),
        ("The full suite: 4 passed (pre-existing: `tests/test_old.py::test_a`).", {"full.log": GREEN}, "contradicted"),
        ("From triage: Reader set up failures (17 failures).", {"pytest_reader.log": GREEN}, "unverifiable"),
        ("4 passed.", {"shared.log": GREEN}, "contradicted"),
        ("4 passed.", {"pytest_red.log": GREEN}, "unverifiable"),
        ("4 new tests pass.", {"pytest.log": GREEN}, "unverifiable"),
        ("previously 2 passed.", {"pytest.log": GREEN}, "unverifiable"),
        ("3 passed.", {"notes.txt": "nothing was run\n"}, "unverifiable"),
        ("3 passed (pytest_gone.log).", {"pytest.log": MIXED}, "unverifiable"),
        ("5 passed.", {"a.log": "2 passed in 0.1s\n", "b.log": "1 failed, 7 passed in 0.1s\n"}, "unverifiable"),
    ],
)  # fmt: skip
def test_counts_are_judged_by_the_runs_of_the_hub(
    tmp_path: Path, audit: Callable[..., dict[str, Any]], sentence: str, files: dict[str, str], judgement: str
) -> None:
    found = audit(write(tmp_path, summary(sentence) | {HUB + name: text for name, text in files.items()}))
    assert of(found) == [judgement], found["claims"]
    assert found["code"] == int(judgement == "contradicted")


SKIPPED_EARLY = f"{BAR} test session starts {BAR}\ncollected 3 items / 1 skipped\n\n3 passed, 1 skipped in 1.0s\n"
SELECTED = "collected 14 items / 12 deselected / 2 selected\n\n2/14 tests collected (12 deselected) in 0.75s\n"
FACTORY = "tests/test_model_factory.py ..  [100%]\n2 passed in 1.0s\n"
CHUNKS = {f"chunk_{n}.log": log(*["test_a PASSED"] * n, summary=f"{n} passed") for n in (1, 2, 4)}

TRAPS: dict[str, tuple[str, dict[str, str], str]] = {
    "a log collects nothing and a later run's XML bears the claim out": (
        "3 collected, 3 passed.",
        {"pytest_collect.log": NOTHING, "junit.xml": xml(3)},
        "disagreement",
    ),
    "a skip at collection makes one more than was collected": (
        "3 collected, 3 passed, 1 skipped.",
        {"pytest.log": SKIPPED_EARLY},
        "confirmed",
    ),
    "a log from before collects nothing": (
        "3 passed.",
        {"pytest_before.log": NOTHING, "pytest_final.log": GREEN},
        "confirmed",
    ),
    "a sentence that owns up to a failure": (
        "All targeted tests GREEN. The other test now passes the loading phase and has a new failure.",
        {"pytest_other.log": log("test_c FAILED", summary="1 failed")},
        "unverifiable",
    ),
    "XML counts what was expected to fail as skipped": (
        "3 passed, 2 skipped.",
        {"junit.xml": xml(3, xfailed=2)},
        "confirmed",
    ),
    "xfails are told apart where the claim does": (
        "3 passed, 1 xfailed, 1 skipped.",
        {"junit.xml": xml(3, 0, 1, 1)},
        "confirmed",
    ),
    "a -q log names no test": (
        "tests/test_part.py 3/3 passed.",
        {"pytest.log": "...  [100%]\n3 passed in 0.1s\n"},
        "confirmed",
    ),
    "a -q log of other tests contradicts nothing": (
        "tests/test_part.py 3/3 passed.",
        {"pytest.log": ".F  [100%]\n1 failed, 1 passed in 0.1s\n"},
        "unverifiable",
    ),
    "the second of two runs in one log": ("3 passed.", {"pytest.log": MIXED + GREEN}, "confirmed"),
    "two runs of different tests in one log": (
        "3 passed; model factory 2/2.",
        {"pytest.log": GREEN + FACTORY},
        "confirmed",
    ),
    "the first of two runs, and the second takes it back": ("3 passed.", {"pytest.log": GREEN + MIXED}, "disagreement"),
    "a collect-only log filed as a run": ("3 passed.", {"pytest.log": COLLECTED}, "unverifiable"),
    "counts are summed from chunks": ("7 passed.", CHUNKS, "confirmed"),
    "a log that was red before it was green": (
        "All tests pass.",
        {"pytest_red.log": MIXED, "pytest_green.log": GREEN},
        "confirmed",
    ),
    "a log that ends before its run does": (
        "3 passed.",
        {"pytest.log": GREEN.partition("tests/test_part.py::test_c")[0]},
        "unverifiable",
    ),
    "a log that ends after its last test and before it is summed up": (
        "3 passed.",
        {"pytest.log": GREEN.partition(f"{BAR} 3")[0]},
        "confirmed",
    ),
    "XML counts a module that was skipped at collection": (
        "3 collected, 3 passed, 1 skipped.",
        {
            "junit.xml": xml(3).replace(
                "</testsuite>",
                '<testcase name="tests.test_c"><skipped message="collection skipped"/></testcase></testsuite>',
            )
        },
        "confirmed",
    ),
    "a failure that is not new": (
        "The full suite passed (2 passed, no new failures).",
        {"pytest.log": MIXED},
        "confirmed",
    ),
    "what was turned into something else": (
        "Turned the tests from a state of their own (3 tests passing behind a guard) to one that tells (1 failed).",
        {"pytest.log": log("test_a FAILED", summary="1 failed")},
        "unverifiable confirmed",
    ),
    "a number of tests more": ("Results: +2 passed against the run before.", {"pytest.log": GREEN}, ""),
    "one test was selected of those that are there": (
        "1/1 passed.",
        {"pytest.log": log("test_a PASSED", summary="1 passed"), "collect.log": COLLECTED},
        "confirmed",
    ),
    "most tests were not selected": ("2 collected.", {"collect.log": SELECTED}, "confirmed"),
    "colours of a terminal": (
        "3 passed.",
        {"pytest.log": "\x1b[32m\x1b[1m3 passed\x1b[0m\x1b[32m in 0.10s\x1b[0m\n"},
        "confirmed",
    ),
}


NOTE = """# What was run

## Part 1: readers
- Results: 3 passed

## Part 2: writers
- Results: 5 passed, 1 skipped

## The fast ones
- Log: `fast.log`
- Result: 2 passed

### Others
- Result: 7 passed

| Name | Value |
|------|-------|
| **Passed** | 3 |
| **Failed** | 0 |
| **Skipped** | 0 |
"""
SPLIT = {
    "part1/pytest.log": GREEN,
    "part2/pytest.log": log(*["test_d PASSED"] * 5, "test_e SKIPPED", summary="5 passed, 1 skipped"),
    "fast.log": log("test_a PASSED", "test_b PASSED", summary="2 passed").replace("test_part", "test_fast"),
}


def test_what_stands_around_a_line_tells_which_run_it_is_about(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    hub = {HUB + name: text for name, text in SPLIT.items()}
    found = audit(write(tmp_path, hub | {HUB + "note.md": NOTE}))
    told = {claim["line"]: claim["judgement"] for claim in found["claims"] if claim["kind"] == "counts"}
    assert told == {4: "confirmed", 7: "confirmed", 11: "confirmed", 14: "unverifiable", 18: "confirmed"}
    lies = NOTE.replace("3 passed", "4 passed").replace("5 passed, 1", "6 passed, 0").replace("2 passed", "3 passed")
    found = audit(write(tmp_path, {HUB + "note.md": lies}))
    told = {claim["line"]: claim["judgement"] for claim in found["claims"] if claim["kind"] == "counts"}
    assert [told[line] for line in (4, 7)] == ["contradicted", "contradicted"]
    (tmp_path / HUB / "part1/pytest.log").unlink()
    found = audit(write(tmp_path, {HUB + "note.md": NOTE}))
    assert {claim["line"]: claim["judgement"] for claim in found["claims"] if claim["kind"] == "counts"}[4] == (
        "unverifiable"
    )


ABOVE = """# Notes

1. A new suite (`tests/test_writer.py`):
   - 2 unit tests
   - all tests passing

### All of test_reader.py
Command: `pytest -v tests/test_reader.py`
Results: **3 passed**

### All of test_other.py
Command: `pytest -v tests/test_other.py`
Results: **9 passed, 1 skipped**
- 0 failures

### The full suite
```
pytest tests/ --ignore=tests/test_reader.py
```
- Passed: 7
- Failed: 0
"""
OF_FILES = {
    "pytest_integration.log": log("test_i FAILED", summary="1 failed").replace("test_part", "test_integration"),
    "pytest_reader.log": GREEN.replace("test_part", "test_reader"),
    "pytest_writer.log": GREEN.replace("test_part", "test_writer"),
    "pytest_full.log": log(*["test_x PASSED"] * 6, summary="6 passed").replace("test_part", "test_writer"),
}


def test_test_files_that_an_item_a_command_or_a_heading_names_leave_out_the_runs_of_others(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    hub = {HUB + name: text for name, text in OF_FILES.items()}
    found = audit(write(tmp_path, hub | {HUB + "note.md": ABOVE}))
    told = {claim["line"]: claim["judgement"] for claim in found["claims"] if claim["kind"] == "counts"}
    unknown = dict.fromkeys((13, 14), "unverifiable")
    assert told == {5: "confirmed", 9: "confirmed", **unknown, 20: "contradicted"}
    lie = {HUB + "note.md": ABOVE.replace("3 passed", "4 passed").replace("Passed: 7", "Passed: 6")}
    told = {claim["line"]: claim["judgement"] for claim in audit(write(tmp_path, lie))["claims"]}
    assert (told[9], told[20]) == ("contradicted", "confirmed")


def test_a_small_count_in_another_hub_bears_nothing_out(tmp_path: Path, audit: Callable[..., dict[str, Any]]) -> None:
    logs = {HUB + "A1/pytest.log": MIXED, HUB + "A2/pytest.log": MIXED}
    note = f"# Close\n\nSee `{HUB}`.\n\nThe rest: 1 failure\n\nTwice that: 2 failures\n\nThen: 2 passed, 1 failed\n"
    closing = HUB.replace("2026-01-08", "2026-01-09") + "note.md"
    assert of(audit(write(tmp_path, logs | {closing: note}))) == ["unverifiable", "unverifiable", "confirmed"]


def test_a_log_of_before_is_held_against_what_is_said_below_its_name(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    note = "# Runs\n\n## Red\n\nLog: `pytest_red.log`\nResult: 4 passed\n\n## Then\n\nResult: 5 passed\n"
    found = audit(write(tmp_path, {HUB + "note.md": note, HUB + "pytest_red.log": GREEN}))
    assert of(found) == ["contradicted", "unverifiable"]


def test_a_text_that_names_some_logs_may_speak_of_the_others_too(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    logs = {HUB + "reader.log": GREEN, HUB + "writer.log": log("test_w PASSED", summary="1 passed")}
    note = {HUB + "note.md": "Results: 1 passed\n\nResults: 4 passed\n\nSee `reader.log`.\n"}
    assert of(audit(write(tmp_path, logs | note))) == ["confirmed", "confirmed"]


@pytest.mark.parametrize("trap", TRAPS)
def test_traps_of_real_hubs_give_no_alarm(tmp_path: Path, audit: Callable[..., dict[str, Any]], trap: str) -> None:
    sentence, files, judgement = TRAPS[trap]
    found = audit(write(tmp_path, summary(sentence) | {HUB + name: text for name, text in files.items()}))
    assert set(of(found)) == set(judgement.split()), found["claims"]
    assert found["code"] == 0


def test_a_note_is_judged_by_its_own_hub_and_another_that_it_names_may_bear_it_out(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    other = HUB.replace("2026-01-08", "2026-01-07")
    note = f"Failed before, see `{other}pytest.log`.\n\nThe test passes with exit code 0.\n\nThen it was 2 passed.\n"
    files = {
        other + "pytest.log": MIXED + "exit code: 1\n",
        HUB + "pytest.log": log("test_c PASSED", summary="1 passed"),
    }
    found = audit(write(tmp_path, files | {HUB + "note.md": note}))
    assert of(found) == ["confirmed", "confirmed"]
    assert of(found, "exit code") == ["unverifiable"]


def test_what_a_code_block_shows_is_seen_and_is_a_fact_where_it_names_the_artifact(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    note = (
        "Did it.\n```\npytest tests -k 'a or b'  # a comment\n# 3 passed in 0.10s\n9 passed in 0.10s\n"
        "├── pytest.log   # the quick ones (3 passed)\n└── pytest.log   # all (5/5 passed)\n"
        '{"passed": 7}\n9 + 3 == 12\n```\n'
    )
    found = audit(write(tmp_path, {HUB + "note.md": note, HUB + "pytest.log": GREEN}))
    told = {claim["line"]: claim["judgement"] for claim in found["claims"]}
    assert told == {4: "confirmed", 5: "unverifiable", 6: "confirmed", 7: "contradicted"}


def test_what_stands_before_the_turns_of_a_summary_is_read(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    text = "# What was done\n\nResult: 4 passed.\n\n### Turn Summary\nDid it: 3 passed.\n"
    assert of(audit(write(tmp_path, {HUB + "summary.md": text, HUB + "pytest.log": GREEN}))) == [
        "contradicted",
        "confirmed",
    ]


def test_both_sides_of_a_contradiction_are_told_with_path_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, summary("Did it.\n3 passed.") | {HUB + "pytest.log": MIXED})
    assert main(["audit", str(tmp_path)]) == 1
    told, closing = capsys.readouterr().out.splitlines()
    assert told.startswith(f"plans/active/{ITEM}/summary.md:3: contradicted: '3 passed'")
    assert told.endswith(f"{HUB}pytest.log:7: 2 passed, 1 failed, 3 collected")
    assert closing.endswith("1 hub: 1 confirmed, 1 contradicted, 0 unverifiable, 0 disagreement")


def test_a_hub_in_either_spelling_and_one_older_than_the_entry_are_found(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    spelled = HUB.replace("210000Z", "21:00:00Z")
    write(
        tmp_path,
        {HUB + "pytest.log": MIXED, "galph_memory.md": entry("- Tests: 3 passed", "2026-02-01T00:00:00Z", spelled)},
    )
    assert of(audit(tmp_path)) == ["contradicted"]
    (tmp_path / HUB).rename(tmp_path / spelled)
    write(tmp_path, {"galph_memory.md": entry("- Tests: 2 passed, 1 failed", "2026-02-01T00:00:00Z", HUB)})
    assert of(audit(tmp_path)) == ["confirmed"]


def test_a_claim_is_bound_to_the_hub_that_its_line_or_its_entry_names(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    other = HUB.replace("21", "22", 1).replace("2026-01-08T22", "2026-01-09T21")
    lines = f"- Tests: 3 passed\n- In `{other}`: 3 passed"
    write(tmp_path, {HUB + "pytest.log": GREEN, other + "pytest.log": MIXED, "galph_memory.md": entry(lines)})
    assert sorted(of(audit(tmp_path))) == ["confirmed", "contradicted"]
    write(tmp_path, {"galph_memory.md": entry("- Tests: 3 passed", hub="N/A")})
    assert of(audit(tmp_path)) == ["unverifiable"]


def test_attempts_of_a_ledger_are_judged_each_by_its_own_hub(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    other = HUB.replace("2026-01-08", "2026-01-09")
    ledger = (
        f"# Plan\n\n### [{ITEM}] A part\n- Status: in_progress\n- Exit Criteria: all tests pass\n- Attempts History:\n"
        f"  * 2026-01-08T210000Z — Did it. Metrics: 3 passed, 1.20s. Artifacts: `{HUB}pytest.log`. Next: 4 passed.\n"
        f"  * 2026-01-09T210000Z — Again. Metrics: 3 passed. Artifacts: `{other}`\n"
    )
    found = audit(write(tmp_path, {"docs/fix_plan.md": ledger, HUB + "pytest.log": GREEN, other + "pytest.log": MIXED}))
    told = [(claim["line"], claim["judgement"]) for claim in found["claims"] if claim["kind"] == "counts"]
    assert told == [(7, "confirmed"), (8, "contradicted")]


def test_what_an_entry_reviews_may_have_grown_in_the_hub_it_issues(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    grown = log(*["test_a PASSED"] * 15, summary="14 passed, 1 skipped", collected=15)
    older = HUB.replace("210000Z", "200000Z")
    memory = entry("- Tests: 14 collected, 13 passed, 1 OOM skipped\n- Reviewed pytest.log (14 tests, 13 passed)")
    write(tmp_path, {HUB + "pytest.log": grown, "galph_memory.md": memory})
    assert of(audit(tmp_path)) == ["unverifiable", "unverifiable"]
    write(tmp_path, {older + "pytest.log": grown.replace("14 passed", "13 passed").replace("15 items", "14 items")})
    assert of(audit(tmp_path)) == ["confirmed", "confirmed"]
    write(tmp_path, {"galph_memory.md": entry("- Tests: 16 passed")})
    assert of(audit(tmp_path)) == ["contradicted"]


@pytest.mark.parametrize(
    ("sentence", "files", "judgement"),
    [
        ("pytest ended with exit code 0.", {"exit_code.txt": "0\n", "pytest.log": GREEN}, "confirmed"),
        ("pytest ended with exit code 0.", {"exit_code.txt": "0\n", "pytest.log": MIXED}, "disagreement"),  # of tee
        ("pytest ended with exit code 1.", {"exit_code.txt": "0\n", "pytest.log": MIXED}, "unverifiable"),  # of tee
        ("pytest ended with exit code 0.", {"exit_code.txt": "2\n"}, "contradicted"),
        (
            "pytest ended with exit code 0.",
            {"results.json": '{"passed": 1, "failed": 1, "exit_code": 1}'},
            "contradicted",
        ),
        ("pytest ended with exit code 0.", {"pytest.log": GREEN + "exit code: 0\n"}, "confirmed"),
        ("pytest ended with exit code 0.", {"pytest.log": GREEN}, "unverifiable"),
        ("pytest ended with exit code 0.", {"pytest.log": GREEN + "\tExit status: 0\n"}, "confirmed"),
        ("pytest ended with exit code 1.", {"exit_code.txt": "0\n", "pytest.log": GREEN}, "contradicted"),
    ],
)
def test_exit_codes_are_judged_and_that_of_tee_is_no_proof(
    tmp_path: Path, audit: Callable[..., dict[str, Any]], sentence: str, files: dict[str, str], judgement: str
) -> None:
    found = audit(write(tmp_path, summary(sentence) | {HUB + name: text for name, text in files.items()}))
    assert of(found, "exit code") == [judgement]


def test_a_hub_that_two_turns_name_may_hold_the_later_and_larger_run(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    turns = "".join(f"### Turn Summary\n{said} passed.\nArtifacts: {HUB}\n\n" for said in (3, 2, 4))
    write(tmp_path, {f"plans/active/{ITEM}/summary.md": turns, HUB + "pytest.log": GREEN})
    assert of(audit(tmp_path)) == ["confirmed", "unverifiable", "contradicted"]


def test_tests_that_a_line_names_are_counted_out_of_a_larger_run(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    more = log("test_a PASSED", "test_b PASSED", summary="4 passed", collected=4)
    more = more.replace(f"{BAR} 4", f"tests/test_other.py::test_c PASSED\ntests/test_other.py::test_d PASSED\n{BAR} 4")
    lines = "tests/test_part.py: 2/2 passed.\ntests/test_part.py::test_a: 1/1 passed.\ntests/test_part.py: 3/3 passed."
    found = audit(write(tmp_path, summary(lines) | {HUB + "pytest.log": more}))
    assert of(found) == ["confirmed", "confirmed", "unverifiable"]


def test_what_an_agent_left_in_a_hub_of_ours_proves_nothing(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    forged = {HUB + "agent/junit.xml": xml(99), HUB + "pytest.log": MIXED}
    write(tmp_path, summary("A1 is verified: 99 tests passed.") | forged)
    assert of(audit(tmp_path)) == ["disagreement"]
    manifest = {"schema": "hub-manifest/1", "turn": "run-1/0002-ralph", "tree": "a" * 40, "files": []}
    write(tmp_path, {HUB + "manifest.json": json.dumps(manifest)})
    assert of(audit(tmp_path)) == ["contradicted"]


def test_manifests_are_checked_and_an_absent_artifact_contradicts_nothing(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    digest = hashlib.sha256(b"data").hexdigest()
    listed = [
        {"path": "right.txt", "size": 4, "sha256": digest},
        {"path": "longer.txt", "size": 4, "sha256": digest},
        {"path": "other.txt", "size": 4, "sha256": digest},
        {"path": "gone.npz", "size": 4, "sha256": digest, "stored": True},
    ]
    files: dict[str, str | bytes] = {"right.txt": b"data", "longer.txt": b"data and", "other.txt": b"date"}
    write(
        tmp_path,
        {HUB + name: content for name, content in files.items()}
        | {HUB + "manifest.json": json.dumps({"files": listed})},
    )
    write(tmp_path, {HUB + "SHA256SUMS": f"{digest}  right.txt\n"})
    found = audit(tmp_path)
    assert sorted(of(found, "manifest")) == ["confirmed", "confirmed", "contradicted", "contradicted", "unverifiable"]


def test_paths_are_looked_for_in_the_tree_and_in_the_hub(tmp_path: Path, audit: Callable[..., dict[str, Any]]) -> None:
    text = "Wrote src/part.py:12, see pytest.log, `docs/gone.md`, /etc/passwd and ../outside.txt."
    found = audit(write(tmp_path, summary(text) | {HUB + "pytest.log": GREEN, "src/part.py": "\n"}))
    told = {claim["text"]: claim["judgement"] for claim in found["claims"] if claim["kind"] == "path"}
    expected = {"src/part.py": "confirmed", "pytest.log": "confirmed", "docs/gone.md": "unverifiable", HUB: "confirmed"}
    assert told == expected


@pytest.fixture
def repository(tmp_path: Path) -> Project:
    project = Project(tmp_path / "repository")
    project.root.mkdir()
    project.git("init", "-q", "-b", "main")
    project.write("data.bin", "data")
    project.commit("The first of all")
    return project


def test_commits_are_asked_of_git_and_a_prefix_of_a_hash_is_none(
    repository: Project, audit: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    real, digest = repository.git("rev-parse", "HEAD"), hashlib.sha256(b"data").hexdigest()
    text = f"Commit {real[:8]} landed, then commit abcdef12 and commit {digest[:10]}; the word fedcba98 is nothing."
    write(repository.root, summary(text) | {HUB + "notes.md": f"data.bin is {digest}\n"})
    found = audit(repository.root)
    told = {claim["text"]: claim["judgement"] for claim in found["claims"] if claim["kind"] == "commit"}
    assert told == {real[:8]: "confirmed", "abcdef12": "contradicted"}
    repository.commit("second")
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", f"file://{repository.root}", str(tmp_path / "shallow")], check=True
    )
    assert set(of(audit(tmp_path / "shallow"), "commit")) == {"unverifiable"}
    subprocess.run(["cp", "-r", str(repository.root / "plans"), str(tmp_path / "bare")], check=True)
    assert set(of(audit(tmp_path / "bare"), "commit")) == {"unverifiable"}


def test_commits_of_a_tree_that_was_put_into_another_are_not_asked_of_its_repository(
    repository: Project, audit: Callable[..., dict[str, Any]]
) -> None:
    inside = {f"docs/recorded/{path}": text for path, text in summary("Commit abcdef12 landed.").items()}
    write(repository.root, inside | {"docs/recorded/galph_memory.md": "# Memory\n"})
    assert of(audit(repository.root), "commit") == ["unverifiable"]
    (repository.root / "docs/recorded/galph_memory.md").unlink()
    assert of(audit(repository.root), "commit") == ["contradicted"]


def test_a_repository_that_knows_none_of_many_commits_is_not_the_history_of_the_texts(
    repository: Project, audit: Callable[..., dict[str, Any]]
) -> None:
    write(repository.root, summary("Commits abcdef1, abcdef2 and abcdef3 landed."))
    assert of(audit(repository.root), "commit") == ["unverifiable"] * 3


def test_nothing_that_a_repository_configures_is_run(
    repository: Project, audit: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    caught = tmp_path / "caught"
    script = tmp_path / "script.sh"
    script.write_text(f"#!/bin/sh\ntouch '{caught}'\n")
    script.chmod(0o755)
    for setting in ("core.fsmonitor", "core.pager", "core.sshCommand", "uploadpack.packObjectsHook", "diff.external"):
        repository.git("config", setting, str(script))
    repository.git("config", "remote.origin.url", f"ext::{script}")
    repository.git("config", "remote.origin.promisor", "true")
    repository.git("config", "extensions.partialClone", "origin")
    repository.git("config", "protocol.ext.allow", "always")
    found = audit(write(repository.root, summary("Commit abcdef12 landed.")))
    assert of(found, "commit") == ["unverifiable"]
    assert not caught.exists()


TURN = """ralph: PART-WORK-001, progress

Turn-Id: run-1/0002-ralph
Role: ralph
Focus: PART-WORK-001
Criteria: A1
Tests: {tests}
Verified-Tree: {tree}
Hub: {hub}
"""


def commit_turn(project: Project, *, passed: int = 3, also: str = "", criteria: str = "verified") -> None:
    """Commit what a turn leaves, upon the tree that was measured."""
    tree = project.git("write-tree")
    run = {"passed": 3, "failed": 0, "skipped": 0, "collected": 3}
    measured = {"tree": tree, "tests": [], "rows": [{"row": "A1", "verdict": criteria, "tests": run}]}
    manifest = {"schema": "hub-manifest/1", "turn": "run-1/0002-ralph", "tree": tree, "files": []}
    project.write(HUB + "measured.json", json.dumps(measured, indent=1))
    project.write(HUB + "manifest.json", json.dumps(manifest) + "\n")
    project.write(f"plans/active/{ITEM}/summary.md", "### Turn Summary\nDid it.\n")
    project.write(f"plans/active/{ITEM}/implementation.md", "# Plan\n- [x] A1: it works\n")
    if also:
        project.write(also, "smuggled\n")
    project.commit(TURN.format(tests=f"{passed}/3 passed", tree=tree, hub=HUB))


@pytest.fixture
def measured_project(repository: Project) -> Project:
    repository.write(
        "docs/fix_plan.md", f"### [{ITEM}] A part\n- Depends on: None\n- Priority: High\n- Status: pending\n"
    )
    repository.write(f"plans/active/{ITEM}/implementation.md", "# Plan\n- [ ] A1: it works\n")
    repository.commit("start")
    return repository


@pytest.mark.parametrize(
    ("changes", "contradicted"),
    [
        ({}, set()),
        ({"passed": 2}, {"Tests"}),
        ({"criteria": "failed"}, {"Criteria"}),
        ({"also": "data.bin"}, {"Verified-Tree"}),
        ({"also": "new.py"}, {"Verified-Tree"}),
        ({"also": f"plans/active/{ITEM}/implementation.md"}, {"Verified-Tree"}),
    ],
)
def test_trailers_are_held_against_tree_manifest_and_measurement(
    measured_project: Project, audit: Callable[..., dict[str, Any]], changes: dict[str, Any], contradicted: set[str]
) -> None:
    commit_turn(measured_project, **changes)
    found = audit(measured_project.root)
    turns = [claim for claim in found["claims"] if claim["kind"] == "turn"]
    assert {claim["text"].partition(":")[0] for claim in turns if claim["judgement"] == "contradicted"} == contradicted
    assert len(turns) == 5
    assert found["code"] == int(bool(contradicted))


def test_trailers_and_measurements_that_are_nonsense_are_judged_all_the_same(
    measured_project: Project, audit: Callable[..., dict[str, Any]]
) -> None:
    deep = '{"files": ' + "[" * 800 + "]" * 800 + "}"
    for name, text in {"measured.json": '{"tests": 3, "rows": [1, {"row": []}]}', "manifest.json": deep}.items():
        measured_project.write(HUB + name, text)
    measured_project.commit(TURN.format(tests="3/3 passed", tree="HEAD", hub=HUB))
    found = audit(measured_project.root)
    assert "contradicted" in of(found, "turn")
    assert found["code"] == 1


def test_a_damaged_repository_is_told_and_bears_nothing_out(
    measured_project: Project, audit: Callable[..., dict[str, Any]]
) -> None:
    commit_turn(measured_project)
    first = measured_project.git("rev-list", "--max-parents=0", "HEAD")
    lost = measured_project.root / ".git" / "objects" / first[:2] / first[2:]
    lost.chmod(0o644)
    lost.write_bytes(b"damaged")
    write(measured_project.root, {"galph_memory.md": entry(f"- Commit {first[:8]} landed")})
    found = audit(measured_project.root)
    assert of(found, "commit") == ["unverifiable"]
    assert [problem["path"] for problem in found["problems"]] == [".git"]


def test_a_run_of_the_loop_bears_out_all_it_says(
    make_project: Callable[[str], Project], audit: Callable[..., dict[str, Any]]
) -> None:
    project = make_project("good")
    assert project.loop().code == 0
    done = project.command("orchestrator", "audit", "--json")
    (found,) = json.loads(done.stdout)
    assert found["counts"] == {
        "confirmed": len(found["claims"]),
        "contradicted": 0,
        "unverifiable": 0,
        "disagreement": 0,
    }
    assert {claim["kind"] for claim in found["claims"]} >= {"counts", "commit", "path", "manifest", "turn"}
    assert done.returncode == 0
    log_path = next((project.work / "plans/active/MEAN-FIX-001/reports").glob("*/A1/pytest.log"))
    log_path.write_text(log_path.read_text().replace("2 passed", "9 passed"))
    done = project.command("orchestrator", "audit")
    assert done.returncode == 1
    assert "manifest.json:" in done.stdout


def test_the_recorded_run_says_one_thing_that_is_not_so(audit: Callable[..., dict[str, Any]]) -> None:
    found = audit(DATA.parents[1] / "docs" / "example-run")
    wrong = [claim["text"] for claim in found["claims"] if claim["judgement"] == "contradicted"]
    assert wrong == ["All mapped tests pass"]


def test_damaged_files_are_told_with_their_path_and_nothing_is_assumed(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    write(
        tmp_path, summary("3 passed.") | {HUB + "junit.xml": xml(3)[:-40], HUB + "results.json": '{"passed": 3, "fai'}
    )
    write(
        tmp_path,
        {HUB + "note.md": b"caf\xe9: 3 passed\n", HUB + "entity.xml": '<!DOCTYPE a [<!ENTITY b "c">]><testsuite/>'},
    )
    write(tmp_path, {HUB + "tongue.xml": xml(3).replace("?>", ' encoding="no-8"?>')})
    with (tmp_path / HUB / "long.log").open("wb") as stream:
        stream.truncate(100_000_000)
    os.mkfifo(tmp_path / HUB / "pipe.log")
    (tmp_path / HUB / "loop").symlink_to(tmp_path / HUB)
    (tmp_path / HUB / "outside.log").symlink_to("/etc/passwd")
    (tmp_path / HUB / "round.log").symlink_to("round.log")
    found = audit(tmp_path)
    told = {problem["path"].removeprefix(HUB): problem["found"] for problem in found["problems"]}
    damaged = {"junit.xml", "tongue.xml", "results.json", "note.md", "entity.xml", "long.log"}
    assert set(told) == damaged | {"pipe.log", "loop", "outside.log", "round.log"}
    assert "100 MB" in told["long.log"]
    assert set(of(found)) == {"unverifiable"}
    assert found["code"] == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_told(tmp_path: Path, audit: Callable[..., dict[str, Any]]) -> None:
    write(tmp_path, summary("3 passed.") | {HUB + "pytest.log": GREEN})
    (tmp_path / HUB / "pytest.log").chmod(0)
    found = audit(tmp_path)
    assert [problem["path"] for problem in found["problems"]] == [HUB + "pytest.log"]
    assert of(found) == ["unverifiable"]


@pytest.mark.parametrize("place", ["", "plans/active", HUB, f"{HUB}..", f"plans/active/{ITEM}"])
def test_a_tree_a_hub_and_what_lies_between_can_be_audited(
    tmp_path: Path, audit: Callable[..., dict[str, Any]], place: str
) -> None:
    files = {HUB + "summary.md": "### Turn Summary\n3 passed.\n", HUB + "pytest.log": MIXED}
    found = audit(write(tmp_path, files) / place)
    assert of(found) == ["contradicted"]


def test_a_folder_with_logs_and_notes_is_a_hub_whatever_its_name(
    tmp_path: Path, audit: Callable[..., dict[str, Any]]
) -> None:
    assert of(audit(write(tmp_path, {"summary.md": "3 passed.\n", "pytest.log": MIXED}))) == ["contradicted"]


def test_the_excerpt_of_a_real_memory_contradicts_its_own_dwell_and_nothing_else(
    audit: Callable[..., dict[str, Any]],
) -> None:
    found = audit(DATA / "seed_galph_memory.md")
    wrong = {
        claim["line"]: claim["text"].partition(" (")[0]
        for claim in found["claims"]
        if claim["judgement"] != "unverifiable"
    }
    assert wrong == {19: "dwell: 1", 37: "dwell: 2", 139: "dwell: 1"}


def test_a_page_with_everything_loads_nothing_and_shows_what_was_said_as_text(tmp_path: Path) -> None:
    write(tmp_path / "tree", summary("3 passed. <script>alert(1)</script> in `<b>.log`") | {HUB + "pytest.log": MIXED})
    assert main(["audit", str(tmp_path / "tree"), "--html", str(tmp_path / "page.html")]) == 1
    page = (tmp_path / "page.html").read_text()
    assert "1 claim contradicted" in page
    assert "<script>alert" not in page
    assert f"{HUB}pytest.log:7" in page
    assert not re.search("https?:|src=|url\\(", page)


def test_a_place_that_is_not_there_is_an_error_of_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(tmp_path / "gone")]) == 2
    assert "expected a folder or a document" in capsys.readouterr().err
