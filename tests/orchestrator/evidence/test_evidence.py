"""Expectations, claims, commands and the artifact store."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from orchestrator.errors import EvidenceError
from orchestrator.evidence.claims import check_claims
from orchestrator.evidence.commands import resolve_command, split_test
from orchestrator.evidence.criteria import check_expectation, evaluator_paths, rows_digest
from orchestrator.evidence.hubs import FILE_LIMIT, files_of, publish
from orchestrator.evidence.store import ArtifactStore
from orchestrator.facts import RowResult, RowVerdict, TestRun
from orchestrator.records.hub import parse_manifest
from orchestrator.records.plan import parse_plan


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("m.json:heldout.ratio <= 2.5", True),
        ("m.json:heldout.ratio < 2", False),
        ("m.json:heldout.ratio == 2", True),
        ("m.json:passed == true", True),
        ("m.json:passed == 1", False),
        ("m.json:passed >= 1", False),
        ("m.json:name == corner", True),
        ("m.json:nothing <= 3", False),
        ("m.json:undefined <= 3", False),
        ("m.json:undefined exists", True),
        ("m.json exists", True),
        ("other.json exists", False),
        ("../outside.json:a == 1", False),
        ("link.json:a == 1", False),
        ("broken.json:a == 1", False),
        ("nan.json:a <= 1", False),
        ("nan.json:far >= 30", False),
        ("nan.json:endless >= 30", False),
        ("nan.json:long >= 30", True),
        ("nan.json:far exists", True),
        ("twice.json:a == 3", False),
        ("sparse.json:a exists", False),
    ],
)
def test_an_expectation_holds_only_for_what_is_really_there(tmp_path: Path, text: str, holds: bool) -> None:
    folder = tmp_path / "row"
    folder.mkdir()
    metrics = {"heldout": {"ratio": 2.0}, "passed": True, "name": "corner", "undefined": None}
    (folder / "m.json").write_text(json.dumps(metrics))
    (folder / "broken.json").write_text("{")
    (folder / "nan.json").write_text(f'{{"a": NaN, "far": 1e400, "endless": Infinity, "long": 1{"0" * 400}}}')
    (folder / "twice.json").write_text('{"a": 4, "a": 3}')
    with (folder / "sparse.json").open("wb") as sparse:
        sparse.truncate(10**12)
    (tmp_path / "outside.json").write_text('{"a": 1}')
    (folder / "link.json").symlink_to(tmp_path / "outside.json")
    assert check_expectation(text, folder).holds is holds


def test_the_digest_of_rows_covers_what_decides_and_leaves_out_ticks_and_prose() -> None:
    text = (
        "# X\n- Evaluator: `a.py`\n## Phase A — p\n- [ ] A1: t\n  - Run: `python a.py`\n  - Expect: `m.json:a <= 1`\n"
    )
    digest = rows_digest(parse_plan(text))
    assert digest == rows_digest(parse_plan(text.replace("[ ]", "[x]").replace("A1: t", "A1: other prose")))
    for old, new in (
        ("<= 1", "<= 2"),
        ("python a.py", "python b.py"),
        ("`a.py`\n", "`c.py`\n"),
        ("Phase A", "Phase B"),
    ):
        assert digest != rows_digest(parse_plan(text.replace(old, new, 1))), old


def test_evaluators_are_those_the_plan_names_and_the_files_its_tests_select() -> None:
    plan = parse_plan(
        "# X\n- Evaluator: `pkg/metrics/`\n## Phase A — p\n- [ ] A1: t\n  - Test: `pytest tests/test_a.py::test_b`\n"
    )
    assert evaluator_paths(plan) == ("pkg/metrics", "tests/test_a.py")


RUN = TestRun(("t",), 4, 3, 1, 0, 1.0, 1, "T", ("t::x",))
GOOD = TestRun(("t",), 4, 4, 0, 0, 1.0, 0, "T")


@pytest.mark.parametrize(
    ("sentence", "run", "contradicted"),
    [
        ("4 passed in 0.1 s", RUN, [True]),
        ("3 passed, 1 failed", RUN, [False]),
        ("4/4 passed", GOOD, [False]),
        ("4/4 tests passed", RUN, [True]),
        ("All mapped tests pass.", RUN, [True]),
        ("All tests now pass.", GOOD, [False]),
        ("A1 is verified.", GOOD, [True]),
        ("The beam passed 3 apertures.", GOOD, []),
        ("Phase A is next.", RUN, []),
        ("One more test passes; the new tests pass.", RUN, []),
        ("Tests pass.", RUN, [True]),
        ("1 failed, 0 skipped", RUN, [False]),
        ("3 passed, 0 failed", RUN, [True]),
        ("2 tests failed at first.", RUN, [False]),
        ("A1 is not verified yet.", RUN, []),
        ("Next the harness has to see whether A1 holds.", RUN, []),
        ("A0 and A1 are verified.", RUN, [True]),
        ("The tests ended with exit code 0.", RUN, [True]),
        ("pytest: exit code 1", RUN, [False]),
        ("A1 ran with exit code 0", RUN, [True]),
        ("ruff ended with exit code 0", RUN, [False]),
        ("Committed as abc1234.", RUN, [False]),
        ("Committed as dead123.", RUN, [True]),
        ("See commit dead123 of another project.", RUN, []),
    ],
)
def test_claims_are_held_against_the_run(sentence: str, run: TestRun, contradicted: list[bool]) -> None:
    rows = [RowResult("A1", RowVerdict.FAILED, "no", exit_code=3)]
    claims = check_claims([(7, sentence)], "summary.md", [run], rows, "abc1234".__eq__)
    assert [claim.contradicted for claim in claims] == contradicted
    assert all(claim.line == 7 for claim in claims)


def test_commands_become_argument_lists_with_our_interpreter() -> None:
    argv, environment = resolve_command(["A=1", "python", "-m", "x", "{hub}/o", "{other}"], {"hub": "/h h"})
    assert argv[1:] == ["-m", "x", "/h h/o", "{other}"]
    assert argv[0] == sys.executable
    assert environment == {"A": "1"}
    assert split_test("VAR=1 pytest -x -k 'a or b' tests/a.py::b tests") == (
        ["-x", "-k", "a or b"],
        ["tests/a.py::b", "tests"],
    )


def test_what_a_row_wrote_comes_back_from_the_store_byte_for_byte(tmp_path: Path) -> None:
    stage, store = tmp_path / "stage", ArtifactStore(tmp_path / "store")
    (stage / "B1").mkdir(parents=True)
    (stage / "B1" / "small.json").write_text("{}")
    (stage / "B1" / "large.bin").write_bytes(b"x" * (FILE_LIMIT + 1))
    written = {path.name: store.put(path) for path in (stage / "B1").iterdir()}
    (stage / "B1" / "small.json").write_text('{"changed": "after the row ended"}')
    (stage / "B1.log").write_text("said")
    row = RowResult("B1", RowVerdict.VERIFIED, "", files=written)
    files = publish(stage, store, [row], turn="run-1/0002-ralph", tree="0" * 40)
    assert set(files) == {"B1/small.json", "B1.log", "manifest.json"}
    assert files["B1/small.json"] == b"{}"
    assert files_of(files["manifest.json"].decode(), "B1") == written
    store.fetch(written["large.bin"], tmp_path / "again" / "large.bin")
    assert (tmp_path / "again" / "large.bin").stat().st_size == FILE_LIMIT + 1
    with pytest.raises(EvidenceError, match="run the row again"):
        files_of(files["manifest.json"].decode(), "C1")


def test_a_hub_keeps_to_its_limit_and_what_the_agent_left_comes_last(tmp_path: Path) -> None:
    stage, store = tmp_path / "stage", ArtifactStore(tmp_path / "store")
    (stage / "agent").mkdir(parents=True)
    for number in range(9):
        (stage / "agent" / f"{number}.bin").write_bytes(bytes([number]) * FILE_LIMIT)
    (stage / "agent" / "film.bin").write_bytes(b"f" * 50_000_000)
    (stage / "verify.log").write_bytes(b"v" * FILE_LIMIT)
    files = publish(stage, store, [], turn="run-1/0002-ralph", tree="0" * 40)
    assert sum(map(len, files.values())) <= 2_000_000
    assert "verify.log" in files
    manifest = parse_manifest(files["manifest.json"].decode())
    assert {entry.path for entry in manifest.files if not entry.stored} == set(files) - {"manifest.json"}
    for entry in manifest.files:
        assert entry.by == ("harness" if entry.path == "verify.log" else "agent")
        assert entry.stored == store.path(entry.sha256).exists()


def test_damaged_content_in_the_store_is_not_handed_out(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    (tmp_path / "a").write_bytes(b"abc")
    sha256 = store.put(tmp_path / "a")
    store.path(sha256).chmod(0o644)
    store.path(sha256).write_bytes(b"abd")
    with pytest.raises(EvidenceError, match="does not match its name"):
        store.fetch(sha256, tmp_path / "b")
