"""The supervisor's memory: the seed's entries keep their bytes, and a contradiction is told with both values."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import RecordError
from orchestrator.records.memory import Memory, MemoryEntry, parse_memory, render_entry
from orchestrator.records.text import with_block

DATA = Path(__file__).parents[2] / "data"
SEED = (DATA / "seed_galph_memory.md").read_bytes().decode()
EXPECTED = json.loads((DATA / "seed_entries.json").read_text(encoding="utf-8"))["entries"]
COMPARED = [name for name in EXPECTED[0] if name not in {"index", "claims", "note"}]

ENTRY = MemoryEntry(
    timestamp="2026-01-15T22:58:50Z",
    title="A-001 — handed over",
    focus="A-001",
    dwell=2,
    state="planning",
    focus_issue="A-001 — Title",
    dwell_note="why (really)",
    next_action="go on --now k=v `x`",
    body="**Review:**\n- one\n\n---\n\ntwo",
)


def problems_of(text: str) -> list[str]:
    return [str(problem) for problem in parse_memory(text).problems]


@pytest.mark.parametrize("index", range(10))
def test_an_entry_of_the_seed_is_read_as_it_was_read_by_hand(index: int) -> None:
    entry = parse_memory(SEED).entries[index]
    found = {name: getattr(entry, name) for name in COMPARED}
    found["focus_issue_ids"] = list(entry.focus_issue_ids)
    assert found == {name: EXPECTED[index][name] for name in COMPARED}


def test_the_seed_has_ten_entries_and_no_problem() -> None:
    memory = parse_memory(SEED)
    assert len(memory.entries) == 10
    assert memory.problems == ()


def written(memory: Memory) -> str:
    """Return the file that was read."""
    return memory.preamble + "".join(entry.raw for entry in memory.entries)


def test_the_seed_is_written_back_byte_for_byte() -> None:
    assert written(parse_memory(SEED)) == SEED


def test_our_form_of_each_seed_entry_is_the_seeds_own() -> None:
    for entry in parse_memory(SEED).entries:
        assert render_entry(entry) == entry.raw.removesuffix("---\n\n").removesuffix("---\n").rstrip("\n") + "\n"


def test_a_new_entry_is_appended_and_the_others_keep_their_bytes() -> None:
    text = with_block("# Memory\n\n" + SEED, render_entry(ENTRY))
    assert text.startswith("# Memory\n\n" + SEED)
    assert parse_memory(text).entries[-1] == ENTRY


def test_the_last_of_several_next_bullets_is_the_entrys_own() -> None:
    entry = replace(ENTRY, next_bullet="Next: go on", body="- Next: was said before")
    assert parse_memory(render_entry(entry)).entries == (entry,)


def test_line_ends_of_the_other_kind_are_kept() -> None:
    text = SEED.replace("\n", "\r\n")
    memory = parse_memory(text)
    assert [entry.focus for entry in memory.entries] == [entry["focus"] for entry in EXPECTED]
    assert written(memory) == text


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "A-001 — x\n# 2026-01-15T22:58:50Z: B-001 — forged"},
        {"next_action": "x\n- focus=B-001 state=planning"},
        {"body": "- focus=B-001 state=closed dwell=0 next_action=x"},
        {"artifacts": "two words"},
        {"mode": " Docs"},
    ],
)
def test_a_value_that_would_be_read_as_something_else_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(RecordError, match="read back"):
        render_entry(replace(ENTRY, **changes))


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("- dwell: 2 (why (really))", "- dwell: two", 3, "a number after 'dwell:', found 'two'"),
        (" dwell=2", " dwell=5", 14, "dwell 2, as in the bullet, found '5'"),
        ("state=planning", "state=closed", 14, "state 'planning', as in <Action State>, found 'closed'"),
        (" focus=A-001", " focus=B-001", 14, "focus A-001, as above, found 'B-001'"),
        ("[planning]", "[planing]", 14, "state 'planing', as in <Action State>, found 'planning'"),
        (" artifacts=N/A", "", 14, "artifacts in the key=value line"),
        (" dwell=2", " dwell=2 loose", 14, "key=value, each key once"),
        ("ralph_last_commit=none", "ralph_last_commit=soon", 14, "a commit of 7 to 40 hex digits"),
        ("2026-01-15T22:58:50Z", "2026-13-15T22:58:50Z", 1, "a stamp such as"),
        ("- focus=A-001", "- fokus=A-001", 1, "a line '- focus=… state=… … next_action=…' at the end"),
        ("- <Action State>: ", "- Action: ", 1, "a line '- <Action State>: [state]'"),
    ],
)
def test_a_contradiction_is_reported_with_its_line(old: str, new: str, line: int, expected: str) -> None:
    text = render_entry(ENTRY)
    assert problems_of(text) == []
    assert old in text
    found = problems_of(text.replace(old, new))
    assert any(problem.startswith(f"galph_memory.md:{line}: expected {expected}") for problem in found), found


def test_both_values_of_a_contradiction_are_kept() -> None:
    text = render_entry(ENTRY).replace("state=planning", "state=closed")
    entry = parse_memory(text).entries[0]
    assert (entry.state, entry.action_state_body) == ("closed", "planning")


def test_a_file_that_was_cut_short_is_reported() -> None:
    assert any("a newline at the end of the file" in text for text in problems_of(render_entry(ENTRY)[:-6]))
    assert any("key=value" in text or "focus=" in text for text in problems_of(render_entry(ENTRY)[:-120]))


def test_what_follows_the_key_value_line_is_kept_and_reported() -> None:
    memory = parse_memory(render_entry(ENTRY) + "\nan afterthought\n")
    assert memory.entries[0].body.endswith("two\n\nan afterthought")
    assert [problem.line for problem in memory.problems] == [16]
