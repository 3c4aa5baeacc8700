"""The loop killed at random moments, again and again: it ends with what an uninterrupted run leaves."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from . import tiny
from .conftest import Project
from .test_loop import start, wait_for

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


def kill(running: subprocess.Popen[bytes]) -> None:
    running.send_signal(signal.SIGKILL)
    running.wait()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_loop_that_is_killed_again_and_again_ends_as_if_nothing_had_happened(make_project: Make, seed: int) -> None:
    project = make_project("hasty")
    moments = random.Random(seed)  # noqa: S311 -- the seed is in the test's name
    for _ in range(6):
        running = start(project)
        time.sleep(moments.uniform(0.05, 2.5))
        kill(running)
    done = project.loop()
    assert done.code == 0, done.said
    assert done.focus("MEAN-FIX-001")["iterations"] == 2
    assert done.focus("MEAN-REPORT-001")["verified"] == ["A1", "B1"]
    turns = project.git("log", "--format=%(trailers:key=Turn-Id,valueonly)", "main..loop/run-1").split()
    assert len(turns) == len(set(turns)) == 8
    found = left_behind(project)

    other = Project(project.root.parent / "undisturbed")
    project.git("clone", "-q", "--single-branch", "-b", "main", str(project.root), str(other.root))
    assert other.loop().code == 0
    assert found == left_behind(other)


def has_grown(journal: Path, known: int, running: subprocess.Popen[bytes]) -> bool:
    """Whether the loop has written a line since, or has ended."""
    return running.poll() is not None or (journal.exists() and journal.stat().st_size > known)


def seconds_of(project: Project) -> float:
    """How long the project's finished run took, whatever this machine is like."""
    lines = (project.root / ".orchestrator/journal.jsonl").read_text().splitlines()
    first, last = (datetime.fromisoformat(json.loads(line)["time"]) for line in (lines[0], lines[-1]))
    return (last - first).total_seconds()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 108))
def test_ten_kills_of_a_quick_loop_leave_what_an_uninterrupted_run_leaves(tmp_path: Path, seed: int) -> None:
    project = tiny.make(tmp_path, "BCDEFGHIJ")
    expected = tiny.undisturbed(project)
    length = seconds_of(Project(project.root.parent / "undisturbed"))
    journal = project.root / ".orchestrator/journal.jsonl"
    moments = random.Random(seed)  # noqa: S311 -- as above
    killed = 0
    for _ in range(10):
        known = journal.stat().st_size if journal.exists() else 0
        running = start(project, *tiny.arguments(project))
        if moments.random() < 0.8:  # the others are struck while they start
            wait_for(partial(has_grown, journal, known, running))
        time.sleep(moments.uniform(0, length / 8))
        kill(running)
        killed += running.returncode == -signal.SIGKILL
    assert killed >= 7, "the run ended long before the tenth kill: let it be longer"
    done = project.loop(*tiny.arguments(project))
    assert done.code == 0, done.said
    assert tiny.left_behind(project) == expected


def children_at_work(project: Project) -> list[int]:
    """Processes that work for the loop: agents, the scripts of rows, git."""
    folder = os.fsencode(project.root)
    found = []
    for process in Path("/proc").iterdir():
        try:
            is_child = process.name.isdigit() and b"ORCHESTRATOR_PARENT=" in (process / "environ").read_bytes()
            if is_child and folder in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 204))
def test_kills_of_agents_and_verification_children_cost_a_turn_and_never_the_run(tmp_path: Path, seed: int) -> None:
    project = tiny.make(tmp_path, "B")
    script = tmp_path / "disk/agent.sh"
    script.write_text(script.read_text() + "sleep 0.1\n")
    chance = random.Random(seed)  # noqa: S311 -- as above
    killed = 0
    for _ in range(8):
        running = start(project, *tiny.arguments(project))
        end = time.monotonic() + chance.uniform(0.5, 1.5)
        while time.monotonic() < end and running.poll() is None:
            for child in children_at_work(project)[:1]:
                if killed < 5 and chance.random() < 0.3:
                    killed += 1
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.02)
        kill(running)
    done = project.loop(*tiny.arguments(project))
    assert done.code in {0, 12}, done.said
    assert killed > 0
    found = tiny.left_behind(project)
    assert (found["open"], found["worktree"], found["locks"]) == (None, "", [])
    assert found["user"] == project.git("status", "--porcelain")
