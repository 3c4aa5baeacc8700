"""The loop killed at random moments, again and again: it ends with what an uninterrupted run leaves."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Callable

import pytest

from .conftest import Project
from .test_loop import start

Make = Callable[[str], Project]


def left_behind(project: Project) -> dict[str, str]:
    """Documents on the run's branch, without what differs from run to run: stamps, commits, turn numbers."""
    names = [
        "docs/fix_plan.md",
        "calc.py",
        "plans/active/MEAN-FIX-001/implementation.md",
        "plans/active/MEAN-REPORT-001/implementation.md",
    ]
    texts = {name: project.git("show", f"loop/run-1:{name}") for name in names}
    timeless = r"\d{4}-\d\d-\d\dT\d\d:?\d\d:?\d\dZ|run-1/\d{4}"
    return {name: re.sub(timeless, "…", text) for name, text in texts.items()}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_loop_that_is_killed_again_and_again_ends_as_if_nothing_had_happened(make_project: Make, seed: int) -> None:
    project = make_project("hasty")
    moments = random.Random(seed)  # noqa: S311 -- the seed is in the test's name
    for _ in range(6):
        running = start(project)
        time.sleep(moments.uniform(0.05, 2.5))
        running.send_signal(signal.SIGKILL)
        running.wait()
    done = project.loop()
    assert done.code == 0, done.said
    assert done.focus("MEAN-FIX-001")["iterations"] == 2
    assert done.focus("MEAN-REPORT-001")["verified"] == ["A1", "B1"]
    turns = project.git("log", "--format=%(trailers:key=Turn-Id,valueonly)", "main..loop/run-1").split()
    assert len(turns) == len(set(turns)) == 8
    found = left_behind(project)

    other = Project(project.root.parent / "undisturbed")
    project.git("clone", "-q", "-b", "main", str(project.root), str(other.root))
    assert other.loop().code == 0
    assert found == left_behind(other)
