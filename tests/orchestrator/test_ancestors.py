"""What spoilt runs of earlier loops, played by scripted agents: none of it comes back, and each has its test."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Project
from .test_steering import FIX

Make = Callable[[str], Project]
Actor = Callable[[str], str]
ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| ([^|]+) \| (`tests/[^|]+) \|$", re.MULTILINE)


def test_every_defect_has_tests_that_exist() -> None:
    text = (ROOT / "docs/survival.md").read_text(encoding="utf-8").partition("## What loops before this one")[2]
    rows = ROW.findall(text)
    assert len(rows) == 16
    for defect, named in rows:
        for node in re.findall(r"`([^`]+)`", named):
            path, _, name = node.partition("::")
            functions = [f for f in ast.parse((ROOT / path).read_text()).body if isinstance(f, ast.FunctionDef)]
            assert name in {function.name for function in functions}, f"{defect}: {node}"


def turns(project: Project) -> list[tuple[str, str]]:
    """Role and outcome of every turn of the run, in order."""
    lines = (project.root / ".orchestrator/journal.jsonl").read_text().splitlines()
    ends: list[Any] = [json.loads(line) for line in lines if '"kind":"turn.' in line]
    return [
        (event["data"].get("role") or event["data"]["record"]["role"], event["kind"].partition(".")[2])
        for event in ends
        if event["kind"] in {"turn.committed", "turn.abandoned"}
    ]


@pytest.mark.slow
def test_each_role_takes_its_own_turns_whichever_of_them_fails(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    actor = make_actor(
        """
number = int(request["turn"].rpartition("/")[2].partition("-")[0])
if number in (1, 3):  # a supervisor's turn and an engineer's
    sys.exit(3)
"""
    )
    done = project.loop("--agent-command", actor, "--focus", FIX)
    assert done.code == 0, done.said
    assert turns(project) == [
        ("galph", "abandoned"),
        ("galph", "committed"),
        ("ralph", "abandoned"),
        ("galph", "committed"),
        ("ralph", "committed"),
    ]


def test_what_is_ignored_or_lies_in_an_index_is_in_no_commit(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    project.write("mine.txt", "staged by the user, not committed\n")
    project.git("add", "mine.txt")
    actor = make_actor(
        """
def ralph():
    right()
    write("secret.log", "ignored")
    write("forced.log", "ignored, and forced into the index")
    subprocess.run(["git", "add", "-f", "forced.log"], cwd=work, check=False)
    say("Did what the handoff asks.")
"""
    )
    done = project.loop("--agent-command", actor, "--focus", FIX)
    assert done.code == 0, done.said
    names = project.git("log", "--name-only", "--format=", "main..loop/run-1").split("\n")
    assert "calc.py" in names
    assert not {"secret.log", "forced.log", "mine.txt"} & set(names)
    assert project.git("status", "--porcelain") == "A  mine.txt"


@pytest.mark.slow
def test_a_deletion_is_committed_and_the_branch_of_people_is_merged_after_it(
    make_project: Make, make_actor: Actor
) -> None:
    project = make_project("good")
    project.write("obsolete.py", "x = 1\n")
    project.write("orchestration.yaml", "sync: main\n")
    project.commit()
    actor = make_actor(
        """
def ralph():
    (work / "obsolete.py").unlink() if (work / "obsolete.py").exists() else right()
    say("Did what the handoff asks.")
"""
    )
    arguments = ("--agent-command", actor, "--focus", FIX)
    assert project.loop(*arguments, "--iterations", "1").code == 13
    project.write("docs/note.md", "from a person\n")
    project.commit()
    done = project.loop(*arguments)
    assert done.code == 0, done.said
    files = project.git("ls-tree", "-r", "--name-only", "loop/run-1").split("\n")
    assert "docs/note.md" in files
    assert "obsolete.py" not in files


@pytest.mark.slow
def test_an_agent_that_talks_first_and_works_afterwards_is_left_to_work(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    actor = make_actor(
        """
import time
print("I begin.", flush=True)
sys.stdout.buffer.write(b"x" + "\\u00fc\\u2192".encode() * 60_000 + b"\\n")
sys.stdout.flush()
time.sleep(0.3)
"""
    )
    done = project.loop("--agent-command", actor, "--focus", FIX)
    assert done.code == 0, done.said
    log = project.root / ".orchestrator/turns/run-1/0002-ralph/agent.log"
    assert "\u00fc\u2192" * 60_000 in log.read_bytes().decode("utf-8")


def test_a_flag_that_does_not_exist_changes_nothing(make_project: Make) -> None:
    project = make_project("good")
    for flag in ("--no-git", "--no-comit", "--iteratons=3"):
        refused = project.command("orchestrator.loop", flag)
        assert refused.returncode == 2
        assert f"unrecognized arguments: {flag}" in refused.stderr
    assert not (project.root / ".orchestrator").exists()
    assert project.git("branch", "--list", "loop/*") == ""
