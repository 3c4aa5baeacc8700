"""The loop as a child process, on a real repository, with scripted engineers."""

from __future__ import annotations

from collections.abc import Callable

from .conftest import Project

Make = Callable[[str], Project]


def test_a_good_engineer_takes_both_items_to_their_end(make_project: Make) -> None:
    project = make_project("good")
    done = project.loop()
    assert done.code == 0, done.said
    assert done.focus("MEAN-FIX-001")["status"] == "done"
    assert done.focus("MEAN-REPORT-001")["verified"] == ["A1", "B1"]
    assert done.focus("MEAN-LATER-001")["status"] == "blocked"
