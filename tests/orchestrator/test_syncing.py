"""A run kept in step with another branch: merged between iterations, a conflict left to a person."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.journal import read_journal
from orchestrator.state import State, fold

from .conftest import Project

Make = Callable[[str], Project]
FIX = "MEAN-FIX-001"
PLAN = f"plans/active/{FIX}/implementation.md"


def known(project: Project) -> State:
    return fold(read_journal(project.root / ".orchestrator/journal.jsonl"))


def begin(project: Project, source: str) -> None:
    project.write("orchestration.yaml", f"sync: {source}\n")
    project.commit()


def make_remote(project: Project) -> Project:
    """Clone the project into one that somebody else works in, and make it the project's remote."""
    remote = Project(project.root.parent / "remote")
    project.git("clone", "-q", str(project.root), str(remote.root))
    project.git("remote", "add", "origin", str(remote.root))
    return remote


@pytest.mark.slow
def test_a_remote_branch_is_fetched_and_merged_between_iterations_once(make_project: Make) -> None:
    project = make_project("hasty")
    begin(project, "origin/main")
    remote = make_remote(project)
    assert project.loop("--iterations", "1").code == 13
    remote.write("notes.txt", "from somebody else\n")
    remote.commit()

    done = project.loop()
    assert done.code == 0, done.said
    theirs = remote.git("rev-parse", "HEAD")
    assert done.said.count(f"merged origin/main at {theirs[:8]}") == 1
    assert (project.work / "notes.txt").read_text() == "from somebody else\n"
    assert not (project.root / "notes.txt").exists()
    assert project.git("log", "-1", "--format=%s", "main") == "change"
    assert known(project).synced == theirs
    merges = project.git("log", "--first-parent", "--merges", "--format=%(trailers:key=Synced,valueonly)", "loop/run-1")
    assert merges.split() == [theirs]
    assert f"Git sync: origin/main at {theirs[:8]}" in (project.work / "galph_memory.md").read_text()


def test_a_conflict_is_left_to_a_person_with_the_tree_untouched(make_project: Make) -> None:
    project = make_project("hasty")
    begin(project, "main")
    assert project.loop("--iterations", "1").code == 13
    before = project.git("rev-parse", "loop/run-1")
    project.write("calc.py", "def mean(values):\n    return 'mine'\n")
    project.commit()
    done = project.loop()
    assert done.code == 11, done.said
    assert "blocked on a person: main and the run both changed calc.py; merge it in" in done.said
    assert project.git("rev-parse", "loop/run-1") == before
    assert "mine" not in (project.work / "calc.py").read_text()

    merge = ("-c", "user.name=u", "-c", "user.email=u@localhost", "merge", "-q", "-X", "ours", "main")
    Project(project.work).git(*merge)
    done = project.loop()
    assert done.code == 0, done.said
    assert known(project).synced == project.git("rev-parse", "main")


@pytest.mark.slow
def test_changed_criteria_of_an_item_at_work_wait_for_approval(make_project: Make) -> None:
    project = make_project("hasty")
    begin(project, "main")
    assert project.loop("--iterations", "1").code == 13
    project.write(PLAN, (project.root / PLAN).read_text() + "- [ ] A2: more\n  - Run: `python -c 'pass'`\n")
    project.commit()
    done = project.loop()
    assert done.code == 11, done.said
    assert f"main changes criteria of {FIX}; `approve` them first" in done.said
    assert project.command("orchestrator", "approve", FIX).returncode == 0
    done = project.loop()
    assert done.code == 0, done.said
    assert done.focus(FIX)["verified"] == ["A1", "A2"]


@pytest.mark.slow
def test_a_remote_that_cannot_be_reached_is_told_once_and_the_run_goes_on(make_project: Make) -> None:
    project = make_project("good")
    begin(project, "origin/main")
    project.git("remote", "add", "origin", str(project.root.parent / "nowhere"))
    done = project.loop()
    assert done.code == 0, done.said
    assert done.said.count("origin/main could not be fetched, the run goes on without it") == 1


@pytest.mark.slow
def test_a_merge_the_journal_does_not_know_is_entered_and_not_made_twice(make_project: Make) -> None:
    project = make_project("hasty")
    begin(project, "main")
    assert project.loop("--iterations", "1").code == 13
    project.write("notes.txt", "mine\n")
    project.commit()
    assert project.loop("--iterations", "1").code == 13
    merged = known(project).synced
    path = project.root / ".orchestrator/journal.jsonl"
    path.unlink()
    assert "rebuilt run-1" in project.loop("--iterations", "1").said
    assert known(project).synced == merged
    assert len(project.git("log", "--first-parent", "--merges", "--format=%H", "loop/run-1").split()) == 1
