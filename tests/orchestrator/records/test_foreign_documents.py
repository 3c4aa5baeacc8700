"""Handoffs, plans, findings and states of other loops; what holds for every kind; and how `parse` shows them."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.records.foreign.document import Foreign
from orchestrator.records.foreign.entries import read_memory, read_summary
from orchestrator.records.foreign.handoffs import read_handoff
from orchestrator.records.foreign.items import read_findings, read_ledger, read_plan
from orchestrator.records.foreign.states import read_state
from orchestrator.records.text import decode

ROOT = Path(__file__).parents[3]
READERS: dict[str, Callable[[str, str], Foreign]] = {
    "memory": read_memory,
    "summary": read_summary,
    "handoff": read_handoff,
    "ledger": read_ledger,
    "findings": read_findings,
    "plan": read_plan,
    "state": read_state,
}

SECTIONS = {
    "key and value": "Mode: Parity\nFocus: [VECTOR-GAPS-002] Gap audit\nDo Now: go\n",
    "headings": "# Input\n\n## Mode — Parity\n## Focus\n[VECTOR-GAPS-002] Gap audit\n## Do Now (mandatory)\ngo\n",
    "bold": "**Mode:** Parity\n**Focus**: [VECTOR-GAPS-002] Gap audit\n**Do Now:**\ngo\n",
    "bold bullets": "## Metadata\n- **Mode:** Parity\n- **Focus:** [VECTOR-GAPS-002] Gap audit\n## Do Now\ngo\n",
    "bullets": "# I\n## Meta\n- Mode: Parity\n- **Kind:** x\n- Focus: [VECTOR-GAPS-002] Gap audit\n## Do Now\ngo\n"
    "## Not\n- Mode: x\n",
    "bare": "Mode: Parity\nFocus: [VECTOR-GAPS-002] Gap audit\nDo Now (hard validity contract)\ngo\n",
}


@pytest.mark.parametrize("text", SECTIONS.values(), ids=SECTIONS)
def test_a_handoff_is_read_however_its_sections_are_marked(text: str) -> None:
    found = read_handoff(text, "i.md")
    values = {field.name: field.value for piece in found.pieces for field in piece.fields}
    assert values.items() >= {"mode": "Parity", "focus": "[VECTOR-GAPS-002] Gap audit", "do_now": "go"}.items()
    assert [piece.ids for piece in found.pieces if piece.ids] == [("VECTOR-GAPS-002",)]
    assert found.preamble + "".join(piece.raw for piece in found.pieces) == text
    assert found.contradictions == ()


def test_a_section_of_a_handoff_keeps_its_code_comments_and_bullets() -> None:
    body = "1. python - <<'PY'\n# Phase B1 rerun\n- Mode: not this\n- Focus: nor this\nPY\n```\nMode: nor this\n```\n"
    found = read_handoff(f"Mode: Docs\nHow-To Map:\n{body}Next Up: more\n", "i.md")
    assert [piece.heading for piece in found.pieces] == ["Mode", "How-To Map", "Next Up"]
    assert found.pieces[1].values("how_to_map") == (body.rstrip("\n"),)


def test_repeated_sections_of_a_handoff_are_both_kept_and_reported() -> None:
    found = read_handoff("Mode: Docs\nBranch: a\nMode: Perf\nBranch: a\n", "i.md")
    (told,) = found.contradictions
    assert [(value.line, value.value) for value in told.values] == [(1, "Docs"), (3, "Perf")]


@pytest.mark.parametrize(
    ("lines", "tests"),
    [
        ("Mapped tests: tests/a.py::b; tests/c.py", "tests/a.py::b tests/c.py"),
        ("Mapped tests: tests/a.py::b, tests/c.py", "tests/a.py::b tests/c.py"),
        ("Mapped tests:\n- `tests/a.py::b`\n- `VAR=1 pytest -q tests/c.py --collect-only`", "tests/a.py::b tests/c.py"),
        ("**Mapped tests:** `pytest --collect-only tests/a.py -q`", "tests/a.py"),
        ("Mapped tests: none — evidence-only (see docs/x.md)", ""),
        ("Do Now: read docs/x.md\n2. VAR=1 pytest -v tests/a.py::b\n", "tests/a.py::b"),
    ],
)
def test_selectors_of_a_handoff_are_fields(lines: str, tests: str) -> None:
    (piece,) = read_handoff(lines + "\n", "i.md").pieces
    assert " ".join(piece.values("selector")) == tests


PLAN = """\
# FIX-A-001 plan
## Phase A. Load
- Goal: a scan
- Exit Criteria:
  - every row
- [ ] A1: first
  - Run: `true`
- [P] **A2** — second
3. [x] **A3.** third
### Checklist
  - [~] B.B5.B2: nested
- [ ] no id
```
- [x] Z9: in code
```
### Phase G-scaled: study
| ID | Task Description | State | How/Why & Guidance |
| --- | --- | --- | --- |
| **G1** | measure | [D] | slowly \\| well |
| G2 | write | ✅ | |
| G3 | too few | [ ] |

- [ ] A1: once more
"""


def test_a_plan_has_a_piece_for_each_phase_and_row() -> None:
    found = read_plan(PLAN, "p.md")
    assert [(piece.line, *piece.ids, piece.title, *piece.values("state")) for piece in found.pieces] == [
        (2, "A", "Load"),
        (6, "A1", "first", "open"),
        (8, "A2", "second", "partial"),
        (9, "A3", "third", "done"),
        (10, ""),
        (11, "B.B5.B2", "nested", "partial"),
        (12, "no id", "open"),
        (16, "G-scaled", "study"),
        (19, "G1", "measure", "done"),
        (20, "G2", "write", "done"),
        (21, "G3", "too few", "open"),
        (23, "A1", "once more", "open"),
    ]
    assert found.pieces[0].values("exit_criteria") == ("  - every row",)
    assert found.pieces[1].values("run") == ("true",)
    assert [str(problem) for problem in found.problems] == [
        "p.md:21: expected 4 cells: id, title, state, how_why_guidance, found 3"
    ]
    assert read_plan(PLAN.replace("- [ ] A1: once", "- [x] A1: once"), "p.md").contradictions[0].name == "state"


def test_findings_are_read_without_the_rule_and_as_sections() -> None:
    text = "| Finding ID | Date | Keywords | Synopsis | Evidence Pointer | Status |\n"
    text += (
        "| CONFIG-001 | 2025-10-11 | a, b | what \\| that | `docs/x.md` | ✅ RESOLVED by it |\n| **BUG-TF-2** | x |\n"
    )
    found = read_findings(text + "### MIGRATION-001 — Title\n- Date: 2025-10-12\n- Status: Active\n", "f.md")
    assert [(piece.line, *piece.ids, *piece.values("status")) for piece in found.pieces] == [
        (2, "CONFIG-001", "resolved"),
        (3, "BUG-TF-2"),
        (4, "MIGRATION-001", "active"),
    ]
    assert found.pieces[0].values("synopsis") == ("what | that",)
    assert str(found.problems[0]).startswith("f.md:3: expected 6 cells: id, date")


def test_a_state_is_read_with_the_line_of_each_field() -> None:
    text = '{\n  "iteration": 345,\n  "status": "running-galph",\n  "galph_commit": null,\n'
    text += '  "mine": [1], "step_index": true,\n'
    text += '  "iteration": "2"\n}\n'
    found = read_state(text, "s.json")
    (piece,) = found.pieces
    assert [(field.name, field.value, field.line) for field in piece.fields[:3]] == [
        ("iteration", "345", 2),
        ("status", "running-galph", 3),
        ("galph_commit", "null", 4),
    ]
    assert piece.values("iteration") == ("345", "2")
    assert piece.raw == text
    assert [problem.line for problem in found.problems] == [5, 6, 6]


@pytest.mark.parametrize("text", ["", "{", '{"a": 1', "[1]", "null", '{"a": 1}x', "[" * 100_000])
def test_a_state_that_is_no_object_is_reported_and_kept(text: str) -> None:
    found = read_state(text, "s.json")
    assert (found.preamble, found.pieces, len(found.problems)) == (text, (), 1)
    assert "a JSON object" in str(found.problems[0])


PIECES = """# §## §### §#### §2026-01-15T22:58:50Z§2025-12-??§$STAMP§: A-001 — x§[B-002.F1] §focus=A-001 §
state=x §dwell=1 §
§
§- §  - §* §| §|§---§```§~~~§**§: §Mode: §Do Now§Status: ~~x~~ → y§- [ ] A1: x§## Phase A§| ID | Status |
§next_action=a=b --c <3>§ <Action State>=x§- Attempts History:
  * §Attempt #1§{"iteration": §"a"§}§, """
ALPHABET = '#-*|`~[](){}:=;, \t\r\n\x00\x85\u2028\u202f\u2011\ufeff\ud800✅→—aA-01"\\'
TEXT = st.lists(st.sampled_from(PIECES.split("§")) | st.text(ALPHABET, max_size=6), max_size=40).map("".join)
BYTES = st.binary(max_size=300) | TEXT.map(lambda text: text.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(READERS)), BYTES)
def test_reading_never_fails_and_always_gives_the_bytes_back(kind: str, data: bytes) -> None:
    text, _ = decode(data, "x")
    found = READERS[kind](text, "x")
    assert (found.preamble + "".join(piece.raw for piece in found.pieces)).encode("utf-8", "surrogateescape") == data
    last = 0
    for piece in found.pieces:
        assert last < piece.line <= piece.end
        last = piece.end
        assert all(piece.line <= field.line <= piece.end for field in piece.fields)
    for told in (*found.problems, *(each.as_problem("x") for each in found.contradictions)):
        assert 1 <= told.line <= text.count("\n") + 1


ENDLESS = """- Status: -§# 2025-10-11 #§focus=a §- focus=a; Mode: x§| a §[A-§`§~~x~~ → §- [ ] A1: §A.A-§\u202f
§2025-10-11 § §Mapped tests: a/b; §<Action State>=§- [A-001] (t) — """


@pytest.mark.parametrize("kind", sorted(READERS))
@pytest.mark.parametrize("line", ENDLESS.split("§"))
def test_a_line_without_end_takes_no_time_without_end(kind: str, line: str) -> None:
    text = f"## [A-001] T\n{line}" + line[-8:] * (60_000 // len(line[-8:])) + "\n"
    begun = time.process_time()
    READERS[kind](text, "x")
    assert time.process_time() - begun < 3  # a quadratic pattern needs minutes


def parse(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestrator", "parse", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


FOREIGN = """\
2025-12-07T080000Z focus=FINDINGS-002 state=planning dwell=1 action=planning artifacts=plans/x/ next_action=go on
- what was done
Action State: planning

## 2025-12-06 — FINDINGS-002 kickoff
- Focus: FINDINGS-002 — t
- <Action State>: [debug]
"""


def test_parse_reads_a_foreign_document_when_ours_has_problems(tmp_path: Path) -> None:
    path = tmp_path / "memory.md"
    path.write_text(FOREIGN, encoding="utf-8")
    result = parse("memory", str(path))
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "1  2025-12-07T080000Z  FINDINGS-002  1  planning, planning  go on",
        "5  2025-12-06  FINDINGS-002  -  debug  -",
    ]
    assert "problems in our form (--dialect ours lists all); read as a foreign memory" in result.stderr
    shown = json.loads(parse("memory", str(path), "--json").stdout)
    assert [piece["line"] for piece in shown["foreign"]["pieces"]] == [1, 5]
    assert shown["foreign"]["contradictions"] == []
    assert shown["problems"] != []


def test_parse_takes_one_dialect_when_it_is_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "memory.md"
    path.write_text(FOREIGN, encoding="utf-8")
    result = parse("memory", str(path), "--dialect", "foreign")
    assert (result.returncode, result.stderr, len(result.stdout.splitlines())) == (0, "", 2)
    path.write_text(FOREIGN.replace("Action State: planning", "Action State: blocked"), encoding="utf-8")
    result = parse("memory", str(path), "--dialect", "foreign")
    assert (result.returncode, result.stderr) == (
        1,
        f"{path}:3: expected state 'planning', as in line 1, found 'blocked'\n",
    )
    ours = parse("memory", str(path), "--dialect", "ours", "--json")
    assert (ours.returncode, "foreign" in json.loads(ours.stdout)) == (1, False)


def test_parse_shows_a_state_and_knows_which_dialects_there_are(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"iteration": 3, "status": "idle"}\n', encoding="utf-8")
    result = parse("state", str(path), "--json")
    (piece,) = json.loads(result.stdout)["foreign"]["pieces"]
    assert (result.returncode, [field["value"] for field in piece["fields"]]) == (0, ["3", "idle"])
    refused = parse("state", str(path), "--dialect", "ours")
    assert (refused.returncode, "expected a dialect of a state" in refused.stderr) == (2, True)
    assert parse("hub", str(path), "--dialect", "foreign").returncode == 2
