"""Findings, summaries, manifests and stamps of hubs, and the text below all documents."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from orchestrator.errors import RecordError
from orchestrator.layout import stamp_of_hub
from orchestrator.records.findings import parse_findings
from orchestrator.records.hub import (
    FileEntry,
    Manifest,
    parse_manifest,
    render_manifest,
)
from orchestrator.records.stamps import folder_stamp, parse_stamp
from orchestrator.records.summary import TurnSummary, parse_summary, with_turn
from orchestrator.records.text import decode, read_field, split_lines, table_cells

FINDINGS = """\
# Findings

| Finding ID | Date | Keywords | Synopsis | Evidence Pointer | Status |
|---|---|---|---|---|---|
| CONFIG-001 | 2026-01-15 | config, order | `a \\| b` is read first | tests/a.py::b | Active |
| PINN-CHUNKED-001 | 2026-01-08 | memory | all at once | `docs/x.md` | ✅ RESOLVED by lazy loading |
"""
TURN = TurnSummary("2026-01-15T22:58:50Z", ("It runs.", "It is slow.", "Make it fast."), "progress", "hub/ (a.json)")
SHA = "0123456789abcdef" * 4
MANIFEST = Manifest("turn 3", "ab12", (FileEntry("B1/m.json", 12, SHA, "harness", True, "B1"),))


def test_findings_are_read_with_and_without_the_rule_below_the_heading() -> None:
    for text in (FINDINGS, FINDINGS.replace("|---|---|---|---|---|---|\n", "")):
        document = parse_findings(text)
        assert document.problems == ()
        assert [finding.id for finding in document.findings] == ["CONFIG-001", "PINN-CHUNKED-001"]
        assert [finding.resolved for finding in document.findings] == [False, True]
        assert document.findings[0].synopsis == "`a | b` is read first"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("| CONFIG-001 |", "| config |", "5: expected a finding's id"),
        ("2026-01-15", "yesterday", "5: expected a date"),
        ("| Active |", "|", "5: expected 6 cells"),
        ("| CONFIG-001", "CONFIG-001", "5: expected a row of the table"),
        ("| PINN-CHUNKED-001", "| CONFIG-001", "6: expected each id once"),
        ("loading |\n", "load", "6: expected a row of the table"),
    ],
)
def test_a_finding_that_cannot_be_read_is_reported_with_its_line(old: str, new: str, message: str) -> None:
    assert old in FINDINGS
    found = [str(problem) for problem in parse_findings(FINDINGS.replace(old, new, 1)).problems]
    assert any(problem.startswith(f"docs/findings.md:{message}") for problem in found), found


def test_a_turn_is_put_above_the_others_which_keep_their_bytes() -> None:
    first = with_turn("# Summary\n\nWhat this is.\n", TURN)
    second = with_turn(first, replace(TURN, stamp=None, measured="", artifacts=""))
    assert second.endswith(first.removeprefix("# Summary\n\nWhat this is.\n\n"))
    summary = parse_summary(second)
    assert summary.preamble == "# Summary\n\nWhat this is.\n\n"
    assert summary.turns == (replace(TURN, stamp=None, measured="", artifacts=""), TURN)
    assert summary.problems == ()


def test_a_turn_begins_an_empty_summary() -> None:
    assert with_turn("", TURN).startswith("### Turn Summary — 2026-01-15T22:58:50Z\nIt runs.  \n")


def test_a_line_break_in_a_sentence_becomes_a_space() -> None:
    assert parse_summary(with_turn("", replace(TURN, sentences=("a\nb", "", "c", "d")))).turns[0].sentences == (
        "a b",
        "c",
        "d",
    )


def test_a_sentence_that_would_be_read_as_something_else_is_refused() -> None:
    with pytest.raises(RecordError, match="expected sentences"):
        with_turn("", replace(TURN, sentences=("Measured: all good", "b", "c"), measured=""))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("### Turn", "## Turn", "1: expected a heading '### Turn Summary — UTC'"),
        ("It is slow.  \nMake it fast.  \n", "", "1: expected 3 to 5 sentences, one a line, found 1"),
        ("2026-01-15T22:58:50Z", "2026-01-15", "1: expected a stamp"),
        ("(a.json)\n", "(a.json)\nand more\n", "7: expected a heading"),
        ("Artifacts:", "Measured:", "6: expected a heading"),
    ],
)
def test_a_turn_that_cannot_be_read_is_reported_with_its_line(old: str, new: str, message: str) -> None:
    text = with_turn("", TURN)
    assert old in text
    found = [str(problem) for problem in parse_summary(text.replace(old, new, 1)).problems]
    assert any(problem.startswith(f"summary.md:{message}") for problem in found), found


def test_a_manifest_is_read_as_it_was_written() -> None:
    manifest = parse_manifest(render_manifest(MANIFEST))
    assert manifest == MANIFEST
    assert manifest.problems == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{", "", "2: expected JSON"),
        ("hub-manifest/1", "hub-manifest/9", "1: expected an object with schema"),
        ('"turn 3"', "3", "1: expected a text 'turn'"),
        (SHA, "12", "7: expected an entry of the manifest, found B1/m.json: expected a SHA-256"),
        ("B1/m.json", "../m.json", "7: expected an entry of the manifest, found expected a path below the hub"),
        ("12,", "true,", "7: expected an entry of the manifest, found expected another type of size"),
        ('"by"', '"of"', "7: expected an entry of the manifest, found expected an entry with path"),
        ('"harness"', '"nobody"', "7: expected an entry of the manifest"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_reported_with_its_line(old: str, new: str, message: str) -> None:
    text = render_manifest(MANIFEST)
    assert old in text
    found = [str(problem) for problem in parse_manifest(text.replace(old, new, 1)).problems]
    assert any(problem.startswith(f"manifest.json:{message}") for problem in found), found


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 10_000, "null", "", json.dumps({"schema": "hub-manifest/1"})])
def test_no_json_makes_the_manifest_reader_fall(text: str) -> None:
    assert parse_manifest(text).problems


def test_a_hub_is_named_by_its_utc_time() -> None:
    time = datetime(2026, 1, 15, 23, 58, 50, tzinfo=timezone(timedelta(hours=1)))
    assert folder_stamp(time) == "2026-01-15T225850Z"
    for text in (folder_stamp(time), "2026-01-15T22:58:50Z"):
        assert (
            stamp_of_hub(f"plans/active/A-001/reports/{text}/")
            == parse_stamp(text)
            == datetime(2026, 1, 15, 22, 58, 50, tzinfo=UTC)
        )


@pytest.mark.parametrize("text", ["$STAMP", "2026-02-30T000000Z", "2026-01-15T22:58:50", "2025-12-??", ""])
def test_what_is_no_stamp_is_none_or_an_error(text: str) -> None:
    assert parse_stamp(text) is None
    with pytest.raises(RecordError, match="expected a hub named like"):
        stamp_of_hub(text)


def test_a_byte_that_is_not_utf_8_is_reported_and_kept() -> None:
    data = b"one\ntw\xffo\n"
    text, problems = decode(data, "x.md")
    assert text.encode("utf-8", "surrogateescape") == data
    assert [str(problem) for problem in problems] == ["x.md:2: expected UTF-8, found byte 0xff"]


def test_lines_are_split_at_line_feeds_only() -> None:
    assert split_lines("a\r\nb\x0bc\u2028d\n\ne") == ["a\r\n", "b\x0bc\u2028d\n", "\n", "e"]
    assert split_lines("") == []


def test_a_field_is_read_with_bullet_and_bold_key_or_without() -> None:
    for line in (
        "Exit Criteria: a: b",
        "- **Exit Criteria:** a: b",
        "  - **Exit Criteria**: a: b\r\n",
    ):
        assert read_field(line) == ("Exit Criteria", "a: b")
    for line in ("https://example.org", "a: b", "- [ ] A1: b", ""):
        assert read_field(line) is None


def test_a_pipe_inside_a_cell_is_kept() -> None:
    assert table_cells(r"| a\|b |  | c\ | \| |") == ("a|b", "", "c\\", "|")
