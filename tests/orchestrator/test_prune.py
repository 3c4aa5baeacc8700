"""`prune`: what it frees, what it never touches, and that it can be killed anywhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.lock import hold_lock

from .conftest import Project

COMMITS = """
def ralph():
    right()
    say("Did what the handoff asks.")
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "mine"], cwd=work, check=True)
"""
KILLED_AT = """
import os, sys
left = int(sys.argv[1])
def count(event, arguments):
    global left
    if event in ("os.remove", "os.rmdir", "os.rename", "os.mkdir"):
        left -= 1
        if left < 0:
            os._exit(9)
sys.addaudithook(count)
from orchestrator.cli import main
main(["prune", "--keep-runs", "1"])
os._exit(0)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the project lies in every test: git's entries name the worktrees by their absolute path."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def project(place: Path, make_project: Callable[[str], Project], make_actor: Callable[[str], str]) -> Project:
    """Three runs on one item, made once, and two files in the store that no manifest names."""
    project, original = Project(place / "a project with spaces"), place / "original"
    if not original.exists():
        make_project("good").root.rename(project.root)
        for _ in range(3):
            own = ("--agent-command", make_actor(COMMITS), "--sandbox", "off")  # behind walls it cannot commit
            done = project.loop("--fresh", "--focus", "MEAN-FIX-001", *own)
            assert done.code == 0, done.said
        loose = project.root / ".orchestrator/artifacts/ab"
        loose.mkdir(exist_ok=True)
        (loose / ("ab" * 32)).write_bytes(b"x" * 1_000)
        (loose / "tmpcut-short").write_bytes(b"x" * 10)
        project.root.rename(original)
    shutil.rmtree(project.root, ignore_errors=True)
    shutil.copytree(original, project.root, symlinks=True)
    return project


def prune(project: Project, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = project.command("orchestrator", "prune", "--json", *arguments)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else {"said": done.stderr}


def content(project: Project) -> tuple[list[str], str]:
    home = project.root / ".orchestrator"
    return sorted(str(path) for path in home.rglob("*")), project.git("for-each-ref")


def paths_of(result: dict[str, Any], project: Project) -> set[str]:
    return {os.path.relpath(entry["path"], project.root) for entry in result["paths"]}


FREED = {
    *(f".orchestrator/{what}/run-{n}" for what in ("runs", "turns") for n in (1, 2)),
    ".git/worktrees/run-1",
    ".git/worktrees/run-2",
    f".orchestrator/artifacts/ab/{'ab' * 32}",
    ".orchestrator/artifacts/ab/tmpcut-short",
}


@pytest.mark.slow
def test_a_dry_run_names_what_is_then_freed_and_the_rest_goes_on(project: Project) -> None:
    before = content(project)
    told = project.command("orchestrator", "prune", "--keep-runs", "1", "--dry-run").stdout
    assert re.search(r"^ +\d+ B  /", told, re.MULTILINE)
    planned = prune(project, "--keep-runs", "1", "--dry-run")
    assert content(project) == before
    assert paths_of(planned, project) == FREED
    assert [ref.split("/")[2] for ref in planned["refs"]] == ["run-1", "run-2"]
    artifacts = {path for path in before[0] if "/artifacts/" in path and len(Path(path).name) == 64}

    freed = prune(project, "--keep-runs", "1")
    assert freed == planned
    assert freed["bytes"] == sum(entry["bytes"] for entry in freed["paths"]) > 1_010
    paths, refs = content(project)
    assert not [path for path in paths if "/run-1" in path or "/run-2" in path or "/pruned" in path]
    assert {path for path in artifacts if os.path.lexists(path)} == {p for p in artifacts if not p.endswith("abab")}
    assert "refs/orchestrator/run-3/" in refs
    assert all(f"refs/heads/loop/run-{number}\n" in f"{refs}\n" for number in (1, 2, 3))
    assert project.git("worktree", "prune", "--dry-run", "--verbose") == ""
    assert prune(project, "--keep-runs", "1")["paths"] == []

    done = project.loop("--focus", "MEAN-REPORT-001")
    assert (done.code, done.summary["run"]) == (0, "run-3"), done.said


def test_what_a_manifest_of_any_commit_names_is_kept(project: Project) -> None:
    done = project.loop("--focus", "MEAN-REPORT-001")
    assert done.code == 0, done.said
    stored = {path for path in (project.root / ".orchestrator/artifacts").glob("*/*") if len(path.name) == 64}
    project.git("merge", "-q", "loop/run-3")
    project.git("rm", "-rq", "plans/active/MEAN-REPORT-001/reports")
    project.commit("hubs are tidied away")
    project.git("tag", "kept", "loop/run-3")
    project.git("worktree", "remove", "--force", ".orchestrator/runs/run-3")
    project.git("branch", "-D", "loop/run-3")
    prune(project)
    left = {path for path in stored if path.exists()}
    assert {path.name for path in stored - left} == {"ab" * 32}
    assert left


def test_the_last_three_runs_are_kept_unless_told_otherwise(project: Project) -> None:
    assert {path.partition("artifacts")[1] for path in paths_of(prune(project, "--dry-run"), project)} == {"artifacts"}


def test_uncommitted_work_in_an_old_worktree_stays(project: Project) -> None:
    work = project.root / ".orchestrator/runs/run-1"
    (work / "calc.py").write_text("somebody's edit\n")
    done = project.command("orchestrator", "prune", "--keep-runs", "1")
    assert "run-1: it holds changes that are not committed" in done.stderr
    assert (work / "calc.py").read_text() == "somebody's edit\n"
    assert not (project.root / ".orchestrator/runs/run-2").exists()


def test_killed_anywhere_it_is_run_again_and_ends_the_same(project: Project) -> None:
    argv, codes = [sys.executable, "-P", "-c", KILLED_AT], []
    for step in (0, 1, 2, 3, 7, 20, 60, 10_000):
        codes.append(subprocess.run([*argv, str(step)], cwd=project.root, env=project.environment).returncode)
        assert project.git("rev-parse", "loop/run-1", "loop/run-2", "loop/run-3")
        assert project.git("status", "--porcelain") == ""
    assert codes == [9] * 7 + [0]
    assert not [path for path in content(project)[0] if "/run-1" in path or "/run-2" in path or "/pruned" in path]
    assert "refs/orchestrator/run-1" not in content(project)[1]
    assert sorted(path.name for path in (project.root / ".git/worktrees").iterdir()) == ["run-3", "verify"]
    project.git("fsck", "--connectivity-only")


def test_while_a_loop_runs_or_its_journal_is_damaged_nothing_is_freed(project: Project) -> None:
    before = content(project)
    with hold_lock(project.root / ".git/orchestrator.lock", holder={"pid": 1}):
        assert "held by pid 1" in prune(project, "--keep-runs", "1", code=75)["said"]
    assert "--keep-runs 0" in prune(project, "--keep-runs", "0", code=2)["said"]
    journal = project.root / ".orchestrator/journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"run-2", b"run-9", 1))
    assert "journal.jsonl:" in prune(project, "--keep-runs", "1", code=1)["said"]
    assert content(project) == before


def test_where_no_loop_has_run_there_is_nothing_to_free(make_project: Callable[[str], Project]) -> None:
    project = make_project("good")
    assert prune(project) == {"paths": [], "refs": [], "bytes": 0}
    assert not (project.root / ".orchestrator").exists()
