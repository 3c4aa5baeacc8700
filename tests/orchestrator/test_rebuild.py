"""A run whose journal is gone, or that was fetched into a second clone, is rebuilt from its commits' trailers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.journal import read_journal
from orchestrator.state import State, fold

from .conftest import Project
from .test_steering import FIX, ask, change_criteria, journal

Make = Callable[[str], Project]


def known(project: Project) -> State:
    return fold(read_journal(project.root / ".orchestrator/journal.jsonl"))


def test_a_lost_journal_is_rebuilt_and_the_run_goes_on_where_it_stood(make_project: Make) -> None:
    project = make_project("hasty")
    ask(project, "prioritise", "MEAN-REPORT-001", "Low")
    project.loop("--iterations", "1")
    before = known(project)
    assert before.items[FIX].failing
    (project.root / ".orchestrator/journal.jsonl").unlink()

    done = project.loop("--iterations", "1")
    assert "rebuilt run-1 from 2 commits of refs/heads/loop/run-1" in done.said
    (event,) = journal(project, "run.rebuilt")
    rebuilt = fold(e for e in read_journal(project.root / ".orchestrator/journal.jsonl") if e.kind == "run.rebuilt")
    assert rebuilt.items == before.items
    assert rebuilt.run == before.run
    assert (rebuilt.started, rebuilt.iteration, rebuilt.turns) == (before.started, before.iteration, before.turns)
    assert "requests of people" in str(event["unknown"])
    assert done.focus(FIX)["status"] == "done"
    assert done.summary["turns"] == 4
    assert "1 request in" in done.said
    assert journal(project, "override") == []


@pytest.mark.slow
def test_a_second_clone_goes_on_only_when_it_is_asked_to(make_project: Make) -> None:
    project = make_project("liar")
    project.loop("--focus", FIX, "--iterations", "1")
    change_criteria(project)
    ask(project, "approve", FIX)
    project.loop("--focus", FIX)
    before = known(project)
    assert (before.items[FIX].status, before.items[FIX].dwell) == ("blocked", 4)

    second = Project(project.root.parent / "second")
    project.git("clone", "-q", str(project.root), str(second.root))
    said = second.loop("--focus", FIX, "--iterations", "1").said
    assert "origin/loop/run-1 holds 12 turns of a run; --resume goes on from there" in said
    assert second.git("branch", "--list", "loop/run-2"), "a name that the other clone does not have"
    assert "rebuilt run-1 from 12 commits" in second.loop("--focus", FIX, "--resume").said

    third = Project(project.root.parent / "third")
    project.git("clone", "-q", str(project.root), str(third.root))
    done = third.loop("--focus", FIX, "--resume")
    assert done.code == 12, done.said
    assert done.summary["turns_in_this_call"] == 0
    assert known(third).items == before.items
    ask(third, "clear", FIX)
    assert third.loop("--focus", FIX, "--iterations", "1").focus(FIX)["dwell"] == 1


def test_without_turns_on_any_branch_a_lost_journal_means_a_new_run(make_project: Make) -> None:
    project = make_project("good")
    project.git("branch", "loop/run-1")
    done = project.loop("--iterations", "1")
    assert done.summary["run"] == "run-2"
    assert json.loads(ask(project, "status", "--json"))["run"]["branch"] == "loop/run-2"
    assert Path(project.work).is_dir()
