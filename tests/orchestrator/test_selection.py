"""Supervisor turns that hand nothing over, and handoffs for items that stand still."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.journal import read_journal
from orchestrator.state import fold

from .conftest import Project
from .test_steering import FIX, journal

Make = Callable[[str], Project]
Actor = Callable[[str], str]

SELECTING = """
def galph():
    supervise(facts, work)
    if facts["iteration"] < 3 and not facts["refusals"]:
        swap("input.md", "Focus: MEAN-FIX-001", "Focus: FOCUS_SELECTION")
        text = (work / "input.md").read_text()
        write("input.md", text[:text.index("Do Now:")] + "Do Now: none\\n\\n" + text[text.index("If Blocked:"):])
"""


def test_a_selection_is_followed_by_no_engineer_and_the_next_turn_hands_work_over(
    make_project: Make, make_actor: Actor
) -> None:
    project = make_project("good")
    done = project.loop("--agent-command", make_actor(SELECTING), "--focus", FIX)
    assert done.code == 0, done.said
    assert (done.focus(FIX)["iterations"], done.focus(FIX)["status"]) == (1, "done")
    records = [event["record"] for event in journal(project, "turn.committed")]
    assert [(r["iteration"], r["role"], r["focus"], r["verdict"]) for r in records] == [
        (1, "galph", "FOCUS_SELECTION", "selection"),
        (2, "galph", FIX, "handoff"),
        (2, "ralph", FIX, "progress"),
    ]
    assert "the last turn handed nothing over either" in done.said
    assert "focus=FOCUS_SELECTION" in (project.work / "galph_memory.md").read_text()
    before = fold(read_journal(project.root / ".orchestrator/journal.jsonl"))
    (project.root / ".orchestrator/journal.jsonl").unlink()
    assert project.loop("--focus", FIX).summary["turns_in_this_call"] == 0
    after = fold(read_journal(project.root / ".orchestrator/journal.jsonl"))
    assert (after.items, after.turns, after.iteration) == (before.items, before.turns, before.iteration)
    report = project.command("orchestrator", "report", "--out", str(project.root.parent / "report"))
    assert report.returncode == 0, report.stderr


@pytest.mark.slow
def test_a_handoff_for_an_item_that_stands_still_is_sent_back_until_it_works_on_a_criterion(
    make_project: Make, make_actor: Actor
) -> None:
    project = make_project("good")
    actor = make_actor(
        """
def galph():
    supervise(facts, work)
    if not facts["refusals"]:
        text = (work / "input.md").read_text()
        write("input.md", text[:text.index("Do Now:")] + "Do Now:\\n1. Run: `python look_again.py`\\n\\n"
              + text[text.index("If Blocked:"):])

def ralph():
    right() if item["dwell"] == 2 else None
    say("Did what the handoff asks.")
"""
    )
    done = project.loop("--agent-command", actor, "--focus", FIX)
    assert done.code == 0, done.said
    *_, refused = journal(project, "turn.abandoned")
    assert "Do Now works on none of its open criteria" in str(refused["reasons"])
    assert done.focus(FIX)["iterations"] == 3
