"""A series of failing tests that falls is no stall, however slowly; new evidence beside the same failures is one."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from .conftest import Project

Make = Callable[[str], Project]
Actor = Callable[[str], str]

ITEM = "MEAN-FIX-001"
SERIES = (51, 46, 43, 41, 38, 35, 24, 16)
TESTS = """import pytest
from calc import square


@pytest.mark.parametrize("number", range(51))
def test_square(number):
    assert square(number) == number**2
"""
ENGINEER = f"""
def ralph():
    left = {SERIES}[facts["iteration"] - 1]
    write("calc.py", f"def square(number):\\n    return number**2 if number >= {{left}} else -1\\n")
    say("More of the squares are right.")
"""


def make(make_project: Make) -> Project:
    project = make_project("good")
    project.write("calc.py", "def square(number):\n    return -1\n")
    project.write(f"plans/active/{ITEM}/acceptance/test_mean.py", TESTS)
    project.commit()
    return project


def turns(project: Project) -> list[tuple[int, int]]:
    """How many tests failed after each engineer's turn, and the dwell of the item."""
    records = [
        event["data"]["record"]
        for event in map(json.loads, (project.root / ".orchestrator/journal.jsonl").read_text().splitlines())
        if event["kind"] == "turn.committed" and event["data"]["record"]["role"] == "ralph"
    ]
    return [(sum("::" in name for name in record["failing"]), record["dwell"]) for record in records]


@pytest.mark.slow
def test_a_number_of_failing_tests_that_falls_over_eight_turns_is_never_a_stall(
    make_project: Make, make_actor: Actor
) -> None:
    project = make(make_project)
    done = project.loop("--agent-command", make_actor(ENGINEER), "--focus", ITEM, "--iterations", str(len(SERIES)))
    assert turns(project) == [(51, 1), *((failing, 0) for failing in SERIES[1:])], done.said
    assert (done.code, done.focus(ITEM)["status"]) == (13, "in_progress")


@pytest.mark.slow
def test_turns_of_new_evidence_with_the_same_failing_tests_are_a_stall(make_project: Make) -> None:
    project = make(make_project)
    done = project.loop("--agent", "gamer", "--focus", ITEM, "--iterations", "10")
    assert turns(project) == [(51, 1), (51, 2), (51, 3), (51, 4)], done.said
    assert (done.code, done.focus(ITEM)["status"]) == (12, "blocked")
