"""`parse`: every kind of document is shown as lines or JSON, with its problems."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SEED = ROOT / "tests" / "data" / "seed_galph_memory.md"


def parse(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestrator", "parse", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_the_seeds_memory_is_shown_as_json() -> None:
    result = parse("memory", str(SEED), "--json")
    shown = json.loads(result.stdout)
    assert (result.returncode, result.stderr) == (0, "")
    assert [entry["line"] for entry in shown["entries"]] == [1, 17, 35, 69, 103, 137, 175, 208, 247, 270]
    assert shown["entries"][4]["artifacts"] is None
    assert shown["problems"] == []


def test_a_damaged_document_is_shown_with_its_problems(tmp_path: Path) -> None:
    path = tmp_path / "memory.md"
    path.write_bytes(SEED.read_bytes()[:-700].replace("✅".encode(), b"\xe2\x9c"))
    result = parse("memory", str(path), "--json")
    problems = json.loads(result.stdout)["problems"]
    assert result.returncode == 1
    assert {problem["expected"] for problem in problems} >= {"UTF-8", "a newline at the end of the file"}
    listing = parse("memory", str(path))
    assert listing.returncode == 1
    assert f"{path}:44: expected UTF-8, found byte 0xe2" in listing.stderr
    assert len(listing.stdout.splitlines()) == 10


def test_a_handoff_is_shown_as_json(tmp_path: Path) -> None:
    path = tmp_path / "input.md"
    path.write_text(
        "Summary: s\nMode: TDD\nFocus: A-001 — t\nBranch: b\nMapped tests: tests/a.py::b\nArtifacts: h/\n"
        "Do Now:\n1. Implement: a.py::f — x\nIf Blocked: none\nPriorities & Rationale: none\nHow-To Map: none\n"
        "Pitfalls To Avoid: none\nFindings Applied: CONFIG-001\nPointers: none\nNext Up: none\n",
        encoding="utf-8",
    )
    result = parse("handoff", str(path), "--json")
    shown = json.loads(result.stdout)
    assert (result.returncode, shown["problems"]) == (0, [])
    expected = {"summary": "s", "mode": "TDD", "focus": "A-001", "branch": "b", "mapped_tests": ["tests/a.py::b"]}
    expected |= {"artifacts": "h/", "findings": ["CONFIG-001"]}
    assert expected.items() <= {key: value for key, value in shown.items() if key != "do_now"}.items()
    assert shown["do_now"][0] == {
        "kind": "Implement", "text": "x", "path": "a.py", "symbol": "f", "command": None, "line": 8,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["memory", "handoff", "ledger", "plan", "findings", "summary", "hub"])
def test_every_kind_of_document_can_be_shown(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "document"
    path.write_text("### [A-001] text\n- Priority: High\n", encoding="utf-8")
    result = parse(kind, str(path), "--json")
    shown = json.loads(result.stdout)
    assert result.returncode == int(bool(shown["problems"]))
    assert shown["path"] == str(path)


def test_a_missing_file_is_a_usage_error() -> None:
    result = parse("plan", "no/such/file.md")
    assert result.returncode == 2
    assert "no/such/file.md: expected a file that can be read" in result.stderr


def test_an_unknown_kind_is_a_usage_error() -> None:
    assert parse("poem", str(SEED)).returncode == 2


def test_a_memory_of_bare_lines_is_read_though_nothing_in_it_looks_like_ours(tmp_path: Path) -> None:
    line = "2026-01-14T090000Z focus=A-B-001 state=debug dwell=0 action=debug artifacts=hub/ next_action=look again\n"
    path = tmp_path / "memory.md"
    path.write_text(line + "- Looked.\n")
    done = parse("memory", str(path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1  2026-01-14T090000Z  A-B-001  0  debug  look again\n"
    assert "nothing in our form" in done.stderr
    path.write_text("# Memory of the supervisor\n")
    assert parse("memory", str(path)).stderr == ""
