"""What an agent left in the documents, read without reading again what stood there before."""

from __future__ import annotations

import pytest

from orchestrator.submissions import find_new_entry

OLD = "# Memory\n\n# 2026-01-15T22:58:50Z: OLD-ITEM-001 — an old entry\n- focus=OLD-ITEM-001 dwell=1"
NEW = "# 2026-01-16T22:58:50Z: NEW-ITEM-001 — a new entry\n- focus=NEW-ITEM-001 dwell=0\n"


@pytest.mark.parametrize("before", ["", "# Memory\n", f"{OLD}\n", f"{OLD}\n\n"])
def test_the_entry_below_those_that_stand_is_the_new_one(before: str) -> None:
    entry, why = find_new_entry(before, before + NEW)
    assert entry is not None, why
    assert (entry.focus, why) == ("NEW-ITEM-001", "")
    for old, new in ((before, before + NEW + "\n" + NEW), (before, before), (before + NEW, NEW)):
        entry, why = find_new_entry(old, new)
        assert "expected one new entry at the end" in why or why == "an entry that stood was changed"
        assert entry is None


def test_an_entry_that_is_glued_to_the_last_line_is_none_and_the_next_one_counts() -> None:
    assert find_new_entry(OLD, OLD + NEW)[0] is None
    entry, why = find_new_entry(OLD, f"{OLD} more of the line\n{NEW}")
    assert entry is not None, why
