"""What grows without end is kept small: memory, ledger, hubs; and nothing of it is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.archive import LIMITS, archive_attempts, archive_entries, with_archives
from orchestrator.layout import ARCHIVES, LEDGER, MEMORY
from orchestrator.records.ledger import Attempt, Item, Status, parse_ledger, render_item
from orchestrator.records.memory import MemoryEntry, parse_memory, render_entry

from .conftest import Project

POINTER = f"Older records stand in `{ARCHIVES[LEDGER]}`.\n\n".encode()
REWRITER = f"""
def rewrite():
    if (work / {ARCHIVES[MEMORY]!r}).exists():
        swap({ARCHIVES[MEMORY]!r}, "2026-01-15T00:00:01Z", "1999-01-15T00:00:01Z")

def ralph(ralph=ralph):
    ralph()
    rewrite()
    write(item["hub"] + "agent/film.txt", "x" * 5_000_000)
    write(item["hub"] + "agent/note.md", "small")

def galph(galph=galph):
    galph()
    rewrite()
"""


def memory_of(size: int) -> str:
    text, number = "# Memory of the supervisor\n\nKept by hand: é\n", 0
    while len(text.encode()) < size:
        stamp = f"2026-01-15T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z"
        entry = MemoryEntry(stamp, f"ITEM-A — worked {number}", "ITEM-A", 0, "debug", body="ü" * 700)
        text, number = f"{text}\n{render_entry(entry)}\n---\n", number + 1
    return text


def ledger_of(*attempts: int, size: int = 100) -> str:
    text = "# Fix plan\n\nBest first.\n\n"
    for number, count in enumerate(attempts):
        history = tuple(
            Attempt(f"2026-01-15T{n // 60:02}:{n % 60:02}:00Z", f"try {n}", f"{number}/{n} " + "é" * size)
            for n in range(count)
        )
        status = Status.DONE if number % 2 else Status.IN_PROGRESS
        text += render_item(Item(f"ITEM-{number:03}", f"Title {number}", status=status, attempts=history)) + "\n"
    return text


def test_the_oldest_entries_leave_the_memory_byte_for_byte() -> None:
    text = memory_of(20_000)
    rest, moved = archive_entries(text, 8_000)
    before, after, gone = parse_memory(text), parse_memory(rest), parse_memory(moved)
    assert (*gone.entries, *after.entries) == before.entries
    assert "".join(entry.raw for entry in (*gone.entries, *after.entries)) == text.removeprefix(before.preamble)
    assert after.preamble == f"{before.preamble}Older records stand in `{ARCHIVES[MEMORY]}`.\n\n"
    assert after.problems == ()
    assert 6_000 < len(rest.encode()) < 8_100


def test_the_newest_entry_stays_however_long_it_is() -> None:
    text = memory_of(1_200)
    assert len(parse_memory(text).entries) == 1
    assert archive_entries(text, 100) == (text, "")


def test_attempts_of_done_items_go_first_and_three_of_each_item_stay() -> None:
    text = ledger_of(8, 8, 2)
    rest, moved = archive_attempts(text, len(text.encode()) - 600)
    assert [len(item.attempts) for item in parse_ledger(rest).items] == [8, 5, 2]
    assert 600 <= len(text.encode()) - len(rest.encode().replace(POINTER, b"")) < 900
    rest, moved = archive_attempts(text, 1)
    before, after = parse_ledger(text), parse_ledger(rest)
    assert [len(item.attempts) for item in after.items] == [3, 3, 2]
    for old, new in zip(before.items, after.items, strict=True):
        assert replace(old, attempts=()) == replace(new, attempts=())
        assert new.attempts == old.attempts[-3:]
    lines = [line for line in moved.splitlines() if line.startswith("  - ")]
    kept = set(rest.splitlines())
    assert sorted(lines) == sorted(line for line in text.splitlines() if line not in kept)
    assert [line for line in moved.splitlines() if line.startswith("#")] == [
        "### [ITEM-001] Title 1",
        "### [ITEM-000] Title 0",
    ]
    assert after.problems == ()
    assert archive_attempts(rest, 1) == (rest, "")


def test_an_attempt_on_several_lines_moves_as_a_whole() -> None:
    text = ledger_of(5).replace("0/0 é", "0\n    in two lines é", 1)
    rest, moved = archive_attempts(text, 1)
    assert "    in two lines" in moved
    assert "in two lines" not in rest


def test_an_archive_only_grows_whatever_bytes_it_holds() -> None:
    small = {MEMORY: memory_of(1_000), LEDGER: ledger_of(3)}
    assert with_archives(small, lambda path: b"never read") == {path: text.encode() for path, text in small.items()}
    strange = b"\xff\xfe not text\n"
    large = with_archives({MEMORY: memory_of(LIMITS[MEMORY] + 1)}, lambda path: strange)
    assert set(large) == {MEMORY, ARCHIVES[MEMORY]}
    assert large[ARCHIVES[MEMORY]].startswith(strange + b"# 2026-01-15T00:00:00Z")
    assert len(large[MEMORY]) <= LIMITS[MEMORY] // 2 + 100


@pytest.mark.slow
def test_a_loop_archives_and_an_agent_cannot_rewrite_the_past_or_fill_a_hub(
    make_project: Callable[[str], Project], make_actor: Callable[[str], str]
) -> None:
    project = make_project("good")
    memory, ledger = memory_of(LIMITS[MEMORY] + 1), (project.root / LEDGER).read_text()
    history = ledger_of(3, 200, size=400).partition("\n\n")[2].partition("\n\n")[2]
    project.write(MEMORY, memory)
    project.write(LEDGER, ledger + "\n" + history)
    project.commit("a long history")
    done = project.loop("--agent-command", make_actor(REWRITER), "--focus", "MEAN-FIX-001")
    assert done.code == 0, done.said

    shown = json.loads(project.command("orchestrator", "show", "memory", "--json").stdout)["text"]
    archived = project.git("show", f"loop/run-1:{ARCHIVES[MEMORY]}")
    assert f"Older records stand in `{ARCHIVES[MEMORY]}`." in shown
    before = parse_memory(memory).entries
    assert (*parse_memory(archived + "\n").entries, *parse_memory(shown).entries)[: len(before)] == before
    assert "focus=MEAN-FIX-001" in shown
    assert len(project.git("show", f"loop/run-1:{LEDGER}").encode()) < LIMITS[LEDGER]
    assert project.git("show", f"loop/run-1:{ARCHIVES[LEDGER]}").count("  - *2026") > 50
    (hub,) = (Path(path) for path in project.work.glob("plans/active/MEAN-FIX-001/reports/*"))
    assert "1999-01-15" not in archived
    assert ARCHIVES[MEMORY] in (hub / "fences.patch").read_text()
    assert (hub / "agent/note.md").read_text() == "small"
    assert sum(path.stat().st_size for path in hub.rglob("*") if path.is_file()) < 2_000_000
    (film,) = (f for f in json.loads((hub / "manifest.json").read_text())["files"] if f["path"] == "agent/film.txt")
    assert (film["stored"], film["by"], film["size"]) == (True, "agent", 5_000_000)
    stored = project.root / ".orchestrator/artifacts" / film["sha256"][:2] / film["sha256"]
    assert stored.stat().st_size == 5_000_000
