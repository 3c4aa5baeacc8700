"""Memories of other loops: every way to write an entry is one entry, with both values where it contradicts itself."""

import json
from pathlib import Path

import pytest

from orchestrator.records.foreign.document import Foreign
from orchestrator.records.foreign.entries import read_memory, read_summary
from orchestrator.records.memory import parse_memory
from orchestrator.records.text import decode

DATA = Path(__file__).parents[2] / "data"
SEED = (DATA / "seed_galph_memory.md").read_text(encoding="utf-8")
KEYS = "state=planning dwell=1 artifacts=plans/x/ next_action=go on"


def read(text: str) -> Foreign:
    found = read_memory(text, "m.md")
    assert found.preamble + "".join(piece.raw for piece in found.pieces) == text
    starts = [piece.line for piece in found.pieces]
    assert starts == sorted(set(starts))
    for piece in found.pieces:
        lines = [field.line for field in piece.fields] + [number for number, _ in piece.text]
        assert all(piece.line <= line <= piece.end for line in lines)
    return found


def test_the_seed_reads_the_same_in_both_readers() -> None:
    found, ours = read(SEED), parse_memory(SEED)
    wanted = json.loads((DATA / "seed_entries.json").read_text(encoding="utf-8"))["entries"]
    for piece, entry, known in zip(found.pieces, ours.entries, wanted, strict=True):
        assert (piece.line, piece.stamp, piece.title) == (known["line"], known["timestamp"], known["title"])
        assert piece.values("dwell") == (str(entry.dwell),) * 2
        assert piece.values("state") == (known["action_state_body"], known["state"])
        assert piece.values("focus") == (known["focus_issue"], known["focus"])
        assert set(piece.ids) >= {known["focus"], *known["focus_issue_ids"]}
        for name in ("action_type", "mode", "git_sync", "documents_reviewed"):
            assert piece.values(name) == (known[name],)
        for name, raw in (("ralph_last_commit", "ralph_last_commit_raw"), ("artifacts", "artifacts_raw")):
            assert piece.values(name) == (known[raw],)
        assert piece.values("next_action")[-1] == known["next_action"]
        assert next(field.note for field in piece.fields if field.name == "dwell") == known["dwell_note"]
        assert piece.raw == entry.raw
    assert (found.contradictions, found.problems, found.preamble) == ((), (), "")


STAMPS = [
    *("2026-01-15T22:58:50Z", "2026-01-22T022725Z", "2025-10-11", "2025-10-07 18:24 UTC", "2025-12-10 16:05Z"),
    *("2025-12-10T16:05:00-07:00", "2025-12-10T16:05-0700", "2025-12-10T16:05:00+00:00Z", "2025-12-??", "$STAMP"),
    *("20251009T062238Z", "<STAMP>", "2025-1?-??T??:??:??Z", "2025-10-07 18:24:09 GMT", "2025-10-07T18:24:09.123Z"),
]


@pytest.mark.parametrize("stamp", STAMPS)
@pytest.mark.parametrize("heading", ["# {}: ", "## {} — ", "### {} - ", "#### [{}] ", "## **{}** | ", "# {} "])
def test_a_stamp_of_any_kind_in_a_heading_of_any_level_begins_an_entry(stamp: str, heading: str) -> None:
    text = f"# Memory\n\n{heading.format(stamp)}FIX-A-001 — why\n- dwell: 2\n{heading.format(stamp)}\n- Mode: Docs\n"
    first, second = read(text).pieces
    assert (first.line, first.stamp, first.title, first.ids) == (3, stamp, "FIX-A-001 — why", ("FIX-A-001",))
    assert (second.line, second.stamp, second.title, second.values("mode")) == (5, stamp, "", ("Docs",))


@pytest.mark.parametrize("stamp", STAMPS)
def test_a_bare_line_of_key_values_is_an_entry(stamp: str) -> None:
    text = f"{stamp} focus=FIX-A-001 {KEYS}\n- what was done\n\n{stamp} focus=FIX-B-001 {KEYS}\n"
    first, second = read(text).pieces
    assert (first.stamp, first.ids, second.ids) == (stamp, ("FIX-A-001",), ("FIX-B-001",))
    assert first.values("state") == ("planning",)
    assert first.text == ((2, "- what was done"),)


ONE_ENTRY = {
    "last": "## S — A-001 t\n- dwell: 1\n- <Action State>: [planning]\n- focus=A-001 K\n",
    "first": "## S — A-001 t\n- focus=A-001 K\n- dwell: 1\n- <Action State>: [planning]\n",
    "own line, stamped": "## S — A-001 t\n- dwell: 1\n- <Action State>: [planning]\n\nS focus=A-001 K\n",
    "before the heading": "S focus=A-001 K\n\n## S — A-001 t\n- dwell: 1\n- <Action State>: [planning]\n",
    "in the heading": "## S focus=A-001 K\n- dwell: 1\n- <Action State>: [planning]\n",
    "in code marks": "## S — A-001 t\n- dwell: 1\n- <Action State>: [planning]\n`focus=A-001 K`\n",
    "bold": "## S — A-001 t\n- **dwell:** 1\n- **Action State:** [planning]\n- **focus=A-001** K\n",
}


@pytest.mark.parametrize("text", ONE_ENTRY.values(), ids=ONE_ENTRY)
def test_an_entry_and_its_key_values_are_one_entry_wherever_they_stand(text: str) -> None:
    text = text.replace("S ", "2025-10-28T23:35:00Z ").replace("K", KEYS)
    (piece,) = read(text).pieces
    assert (piece.stamp, piece.ids[0]) == ("2025-10-28T23:35:00Z", "A-001")
    assert set(piece.values("dwell")) == {"1"}
    assert set(piece.values("state")) == {"planning"}
    assert piece.values("next_action")[0].startswith("go on")


def test_typography_in_a_heading_hides_no_entry() -> None:
    (piece,) = read("## 2025\u201110\u201111\u202f—\u202fFIX\u2011A\u2011001 t\n- dwell: 1\n").pieces
    assert (piece.stamp, piece.title, piece.ids) == ("2025-10-11", "FIX-A-001 t", ("FIX-A-001",))


def test_the_same_stamp_in_another_spelling_is_the_same_entry_and_another_stamp_is_not() -> None:
    text = "## 2026-01-08T21:00:00Z — A-001\n- dwell: 0\n2026-01-08T210000Z focus=A-001 state=x\n"
    assert len(read(text).pieces) == 1
    assert len(read(text.replace("T210000Z", "T210001Z")).pieces) == 2
    bare = (
        "## 2026-01-08 — A-001\n- x\n2026-01-08T210000Z focus=A-001 state=x\n2026-01-08T220000Z focus=B-001 state=x\n"
    )
    assert [piece.ids for piece in read(bare).pieces] == [("A-001",), ("B-001",)]


def test_the_next_action_is_the_rest_of_its_line() -> None:
    rest = "run `a --b=c` state=no <3> artifacts=x; then | stop `here`"
    text = f"2025-10-11 focus=A-001 summary=plans/x/ action=debug next_action={rest} <Action State>=[planning]\n"
    (piece,) = read(text).pieces
    assert piece.values("next_action") == (rest,)
    assert (piece.values("artifacts"), piece.values("action_type")) == (("plans/x/",), ("debug",))
    assert piece.values("state") == ("planning",)


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("- Focus issue: A-001 t; Action type: Debug; Mode: TDD", "focus=A-001 t,action_type=Debug,mode=TDD"),
        ("Action type: Planning | Mode: Docs", "action_type=Planning,mode=Docs"),
        ("- **Action Type**: planning", "action_type=planning"),
        ("* __Mode:__ Perf", "mode=Perf"),
        ("1. Mode: Perf", "mode=Perf"),
        ("- dwell=3 (third; still planning)", "dwell=3"),
        ("- Dwell: n/a (nothing)", "dwell=n/a"),
        ("Action State: planning — because", "state=planning"),
        ("- <Action State>: [ready_for_implementation] and more", "state=ready_for_implementation"),
        ("- <Action State>: ready for implementation", "state=ready_for_implementation"),
        ("- Action State: [gathering_evidence → planning]", "state=planning"),
        ("- Artifacts: `plans/x/`", "artifacts=plans/x/"),
        ("- Artifact Path: plans/x/", "artifacts=plans/x/"),
        ("- Next Actions: do it", "next_action=do it"),
        ("- Key decisions: none; Reason: x", ""),
        ("A prose line; not: a field", ""),
        ("https://example.org/mode: x", ""),
    ],
)
def test_fields_are_read_in_all_their_dress(line: str, fields: str) -> None:
    (piece,) = read(f"## 2025-10-11\n{line}\n").pieces
    assert ",".join(f"{field.name}={field.value}" for field in piece.fields) == fields
    assert bool(piece.text) is not bool(fields)


@pytest.mark.parametrize(
    ("focus", "ids"),
    [
        ("[FIX-A-001] text", ("FIX-A-001",)),
        ("FIX-A-001 / text", ("FIX-A-001",)),
        ("FIX-A-001 → PARALLEL-API", ("FIX-A-001", "PARALLEL-API")),
        ("FIX-A-001.F1 — follow-up", ("FIX-A-001.F1",)),
        ("fix-a-001 — lower case", ("fix-a-001",)),
        ("torch-bridge — lower case", ("torch-bridge",)),
        ("INIT", ("INIT",)),
        ("FOCUS_SELECTION", ("FOCUS_SELECTION",)),
        ("FIX\u2011A\u2011001\u202f—\u202ftypography", ("FIX-A-001",)),
        ("FIX-\u202fA-001", ("FIX-A-001",)),
        ("`FIX-A-001`", ("FIX-A-001",)),
        ("choose what comes next", ()),
        ("Planning — the next re-run", ()),
    ],
)
def test_a_focus_names_its_ids_in_any_form(focus: str, ids: tuple[str, ...]) -> None:
    (piece,) = read(f"## 2025-10-11\n- Focus: {focus}\n").pieces
    assert piece.ids == ids
    assert piece.values("focus") == (focus.strip("`"),)


BODY = """\
# 2026-01-15T22:58:50Z: FIX-A-001 — what
- dwell: 0 (new)

## Evidence
**2026-01-14:** bold, with a stamp
### 2026-01-14 the run of yesterday
| focus=FIX-Z-001 | state |
|---|---|
| 2026-01-14 | ok |

---

```
# 2026-01-01T00:00:00Z: FIX-B-001 — an example
- dwell: 9
2026-01-01T00:00:00Z focus=FIX-B-001 state=closed dwell=9
```
    # 2026-01-01T00:00:00Z: indented code
- 2026-01-13T00:00:00Z focus=FIX-C-001 state=closed is what the last entry said
- <Action State>: [planning]
- focus=FIX-A-001 state=planning dwell=0 ralph_last_commit=none artifacts=N/A next_action=go

"""


def test_headings_tables_code_rules_and_quotes_inside_a_body_split_nothing() -> None:
    found = read(BODY + BODY.replace("FIX-A", "FIX-D").replace("22:58:50", "23:58:50"))
    assert [(piece.line, piece.end) for piece in found.pieces] == [(1, 22), (23, 44)]
    for piece in found.pieces:
        assert piece.values("dwell") == ("0", "0")
        assert piece.values("state") == ("planning", "planning")
    assert (found.contradictions, found.problems) == ((), ())


def test_entries_of_another_level_are_entries() -> None:
    text = "## 2025-10-01 — A-001\n- free text\n### 2025-10-02 (loop - x)\n- free\n# Memory\n"
    text += "### 2025-10-03 — B-001\n- dwell: 1\n"
    text += "#### 2025-10-04 — C-001\n- Focus: C-001\n- <Action State>: [debug]\n##### 2025-10-05\n"
    assert [(piece.line, *piece.ids) for piece in read(text).pieces] == [(1, "A-001"), (3,), (6, "B-001"), (8, "C-001")]


def test_a_contradiction_has_both_values_with_their_lines() -> None:
    text = (
        "# 2026-01-15T22:58:50Z: FIX-A-001 — what\n"
        "- dwell: 2 (why)\n- Focus: FIX-A-001 — t\n- Action type: Planning (x)\n- Artifacts: `plans/x/`\n"
        "- <Action State>: [planning]\n"
        "- focus=FIX-B-001 state=debug dwell=3 action_type=planning artifacts=plans/x next_action=y\n"
    )
    found = read(text)
    told = {each.name: [(value.line, value.value) for value in each.values] for each in found.contradictions}
    assert told["dwell"] == [(2, "2"), (7, "3")]
    assert told["state"] == [(6, "planning"), (7, "debug")]
    assert [line for line, _ in told["focus"]] == [1, 3, 7]
    assert len(told) == 3
    problems = [str(each.as_problem("m.md")) for each in found.contradictions]
    assert "m.md:7: expected dwell '2', as in line 2, found '3'" in problems


def test_a_heading_that_contradicts_the_body_is_reported() -> None:
    text = "## 2025-10-11 — FIX-A-001 t\n- Focus: FIX-B-001 — t\n- <Action State>: [planning]\n"
    (found,) = read(text).contradictions
    assert (found.name, [value.line for value in found.values]) == ("focus", [1, 2])
    assert read(text.replace("FIX-B-001 — t", "FIX-A-001.F1 → FIX-B-001")).contradictions == ()


def test_key_values_in_a_heading_are_values_of_the_entry() -> None:
    found = read("## 2025-10-11 — A-001 t (dwell=2)\n- dwell: 3\n- <Action State>: [planning]\n")
    assert found.pieces[0].values("dwell") == ("2", "3")
    assert [each.name for each in found.contradictions] == ["dwell"]


def test_a_memory_that_was_cut_short_is_reported() -> None:
    entry = "## 2025-10-11 — A-001\n- dwell: 1\n- <Action State>: [planning]\n"
    assert read(entry * 2).problems == ()
    cut = read(entry + "## 2025-10-12 — A-001\n- dwell: 1\n").problems
    assert [str(problem) for problem in cut] == [
        "m.md:5: expected a state in the last piece, as in the one above it, found the end"
    ]
    torn = [str(problem) for problem in read(entry + "## 2025-10-12 — A-001\n```\n- <Action St").problems]
    assert any("expected a newline" in problem for problem in torn)
    assert any("m.md:5: expected a line ``` that closes the code block" in problem for problem in torn)


def test_a_code_block_that_never_ends_hides_no_entry() -> None:
    text = "## 2025-10-11 — A-001\n```sh\nx\n## 2025-10-12 — B-001\n```python\ny\n```\n## 2025-10-13 — C-001\n"
    assert [piece.line for piece in read(text).pieces] == [1, 4, 8]
    assert [problem.line for problem in read(text).problems] == [2]
    for mark in ("```", "````", "~~~"):
        assert [problem.line for problem in read(f"## 2025-10-11\n{mark}\n# 2025-10-12\n").problems] == [2]


def test_line_ends_byte_order_marks_and_broken_bytes_are_kept() -> None:
    data = b"\xef\xbb\xbf" + BODY.replace("\n", "\r\n").replace("what", "wh\udcffat").encode("utf-8", "surrogateescape")
    text, (problem,) = decode(data, "m.md")
    (piece,) = read(text).pieces
    assert piece.raw.encode("utf-8", "surrogateescape") == data
    assert (problem.line, piece.values("dwell"), piece.ids) == (1, ("0", "0"), ("FIX-A-001",))


def test_what_is_not_understood_is_kept_with_its_line() -> None:
    (piece,) = read("## 2025-10-11\n\n- Key decisions:\n  - one\nprose\n").pieces
    assert piece.text == ((3, "- Key decisions:"), (4, "  - one"), (5, "prose"))


def test_a_summary_has_one_piece_for_each_turn() -> None:
    text = "# Summary\n\n### Turn Summary\nIt ran.\nArtifacts: `a/` (b.log)\n\n"
    text += "### Turn Summary — 2026-01-15\nx\nArtifacts: c\n"
    text += "## 2025-10-11T00:00:00Z\nold\nArtifacts: d\n"
    found = read_summary(text, "s.md")
    assert [(piece.line, piece.values("artifacts")) for piece in found.pieces] == [
        (3, ("`a/` (b.log)",)),
        (7, ("c",)),
        (10, ("d",)),
    ]
    assert found.preamble + "".join(piece.raw for piece in found.pieces) == text
