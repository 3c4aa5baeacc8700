"""`doctor`: every fault on a line of its own with its cure, and nothing changed by looking."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.lock import hold_lock

from .conftest import Project

HANGS = """
def galph():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    write("up", "")
    import time; time.sleep(60)
"""


def doctor(project: Project, code: int) -> dict[str, tuple[str, str]]:
    before = sorted((path, path.lstat().st_mtime_ns) for path in project.root.rglob("*") if path.is_file())
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(["doctor", "--json", "--workspace", str(project.root)]) == code, said.getvalue()
    assert before == sorted((path, path.lstat().st_mtime_ns) for path in project.root.rglob("*") if path.is_file())
    found = json.loads(said.getvalue())
    assert all(entry["ok"] == (entry["cure"] == "") for entry in found)
    return {entry["check"]: (entry["found"], entry["cure"]) for entry in found}


def wrong(found: dict[str, tuple[str, str]]) -> set[str]:
    return {check for check, (_, cure) in found.items() if cure}


@pytest.fixture
def project(make_project: Callable[[str], Project]) -> Project:
    return make_project("good")


def test_a_sound_repository_has_a_tick_on_every_line(project: Project) -> None:
    assert wrong(doctor(project, 0)) == set()
    done = project.command("orchestrator", "doctor")
    lines = done.stdout.splitlines()
    assert all(line.startswith("✓ ") for line in lines)
    assert "3 items, 1 can run" in lines[-1]
    assert " MB free" in done.stdout


@pytest.mark.slow
def test_a_killed_loop_leaves_a_turn_and_a_process_that_are_named(
    project: Project, make_actor: Callable[[str], str]
) -> None:
    argv = [sys.executable, "-P", "-m", "orchestrator.loop", "--sandbox", "off", "--agent-command", make_actor(HANGS)]
    loop = subprocess.Popen(argv, cwd=project.root, env=project.environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not (project.root / ".orchestrator/runs/run-1/up").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert wrong(doctor(project, 0)) == set()
    assert f"pid {loop.pid}" in doctor(project, 0)["lock"][0]
    os.kill(loop.pid, signal.SIGKILL)
    loop.wait()
    what, cure = doctor(project, 1)["dead run"]
    assert "turn run-1/0001-galph is open" in what
    assert what.count("still runs") == 2
    assert "the next start" in cure
    assert project.loop("--focus", "MEAN-FIX-001").code == 0
    assert wrong(doctor(project, 0)) == set()


def test_with_a_damaged_journal_the_rest_is_still_looked_at(project: Project) -> None:
    assert project.loop("--focus", "MEAN-LATER-001").code == 11
    journal = project.root / ".orchestrator/journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"run.opened", b"run.closed", 1))
    found = doctor(project, 1)
    assert wrong(found) == {"past"}
    assert f"{journal}:" in found["past"][1]
    assert found["lock"] == ("free", "")
    assert "3 items" in found["documents"][0]


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        (
            "docs/fix_plan.md",
            "### [A-1] One\n- Depends on: None\n- Priority: High\n- Status: donee\n",
            "fix_plan.md:4:",
        ),
        ("plans/active/MEAN-FIX-001/implementation.md", "# M\n\n## Phase A — a\n- [ ] B1: x\n", "implementation.md:4:"),
        ("docs/findings.md", "| Finding ID | Date |\n|---|---|\n| x | y |\n", "docs/findings.md:"),
        ("orchestration.yaml", "iterations: some\n", "orchestration.yaml: iterations must be"),
        ("orchestration.yaml", "supervisor: nobody\n", "unknown agent 'nobody'"),
        ("orchestration.yaml", "agent_command: no-such-agent {prompt_file}\n", "install this program"),
        ("orchestration.yaml", "needs:\n  dataset: no-such-program {name}\n", "install this program"),
        (".git/index.lock", "", "if no git is at work here"),
        (".git/refs/heads/main.lock", "", "if no git is at work here"),
        (".orchestrator", "", "make it a folder"),
    ],
)
def test_each_fault_is_named_with_its_cure(project: Project, path: str, text: str, said: str) -> None:
    project.write(path, text)
    found = doctor(project, 1)
    assert any(said in what + cure for what, cure in found.values()), found


def test_settings_that_cannot_be_read_are_said_once(project: Project) -> None:
    project.write("orchestration.yaml", "iterations: [\n")
    found = doctor(project, 1)
    assert wrong(found) == {"settings"}
    assert "orchestration.yaml: not readable as YAML" in found["settings"][1]


def test_documents_of_the_run_and_of_the_last_commit_are_told_apart(project: Project) -> None:
    assert project.loop("--focus", "MEAN-FIX-001").code == 0
    plan = "plans/active/MEAN-REPORT-001/implementation.md"
    whole = (project.root / plan).read_text()
    project.write(plan, whole.replace("Run: `python report.py {hub}`", "Run: `python report.py > {hub}/a`"))
    project.commit()
    found = doctor(project, 1)
    assert wrong(found) == {"last commit"}
    assert f"which --fresh would start from; 1 problem, first {plan}:5: expected a command" in found["last commit"][0]
    project.write(plan, whole)
    project.commit()
    (project.work / plan).write_text(whole.replace("Needs: A1", "Needs: A7"))
    found = doctor(project, 1)
    assert wrong(found) == {plan}
    assert found[plan][1].startswith(f"correct it in {project.root} (not in the run's worktree) and commit; `approve`")


@pytest.mark.slow
def test_a_missing_branch_is_an_error_and_a_missing_worktree_is_not(project: Project) -> None:
    assert project.loop("--focus", "MEAN-FIX-001").code == 0
    assert "loop/run-1 in " in doctor(project, 0)["run"][0]
    project.git("worktree", "remove", "--force", ".orchestrator/runs/run-1")
    assert "the next start makes again" in doctor(project, 0)["run"][0]
    project.git("branch", "-qD", "loop/run-1")
    assert "loop/run-1 is gone: start anew with --fresh" in doctor(project, 1)["run"][1]


def test_a_detached_head_and_a_merge_under_way_are_said_and_are_no_fault(project: Project) -> None:
    project.git("checkout", "-q", "--detach")
    head = project.git("rev-parse", "HEAD")
    (project.root / ".git/MERGE_HEAD").write_text(f"{head}\n")
    assert "no branch (detached head), in the middle of a merge" in doctor(project, 0)["repository"][0]


def test_a_lock_that_is_held_is_no_fault(project: Project) -> None:
    with hold_lock(project.root / ".git/orchestrator.lock", holder={"pid": 4711, "host": "elsewhere"}):
        assert doctor(project, 0)["lock"] == ("held by pid 4711, host elsewhere", "")


def test_outside_a_repository_the_cure_is_named(tmp_path: Path) -> None:
    done = Project(tmp_path).command("orchestrator", "doctor")
    assert (done.returncode, done.stdout) == (1, "")
    assert "run `git init` there" in done.stderr
