"""Requests, approvals and rebuilt runs where something about them is odd."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable

import pytest

from orchestrator.inbox import leave_request

from .conftest import Project
from .test_steering import FIX, ask, journal

Make = Callable[[str], Project]
PLAN = f"plans/active/{FIX}/implementation.md"
TESTS = f"plans/active/{FIX}/acceptance/test_mean.py"


@pytest.mark.slow
def test_a_start_in_another_worktree_leaves_the_run_of_the_first_alone(make_project: Make) -> None:
    project = make_project("good")
    project.loop("--iterations", "1")
    side = Project(project.root.parent / "side")
    project.git("worktree", "add", "-q", "-b", "side", str(side.root))
    done = side.loop("--iterations", "1")
    assert done.summary["run"] == "run-2"
    assert "run-1 is in" in done.said
    project.loop("--iterations", "1")
    turns = project.git("log", "--format=%(trailers:key=Turn-Id,valueonly)", "main..loop/run-1").split()
    assert len(turns) == len(set(turns)) == 4


@pytest.mark.parametrize(
    "words", [("--minutes", "inf"), ("--minutes", "nan"), ("--iterations", "-5", "--minutes", "9")]
)
def test_a_budget_that_is_no_number_of_minutes_is_refused(make_project: Make, words: tuple[str, ...]) -> None:
    project = make_project("good")
    lock = project.root / ".git/orchestrator.lock"
    holder = json.dumps({"pid": os.getpid(), "workspace": str(project.root)})
    with lock.open("w") as stream:
        stream.write(holder)
        stream.flush()
        with subprocess.Popen(["flock", str(lock), "sleep", "5"]) as held:
            try:
                done = project.command("orchestrator", "raise-budget", *words)
                while "no loop" in done.stdout:
                    done = project.command("orchestrator", "raise-budget", *words)
            finally:
                held.kill()
    assert done.returncode == 2
    assert "above 0 and finite" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "request_of_somebody",
    [{"kind": "block", "note": "no item"}, {"kind": "prioritise", "item": FIX, "level": "Urgent"}, {"kind": "dance"}],
)
def test_a_request_that_lacks_something_is_named_and_not_entered(
    make_project: Make, request_of_somebody: dict[str, str]
) -> None:
    project = make_project("good")
    name = leave_request(project.root / ".orchestrator", request_of_somebody)
    done = project.loop()
    assert done.code == 1
    assert f"{name}.json: expected a request" in done.said
    assert f"{name}.json" in project.command("orchestrator", "doctor").stdout
    (project.root / f".orchestrator/requests/{name}.json").unlink()
    assert project.loop("--iterations", "1").code == 13


def test_a_block_that_nobody_has_heard_yet_can_be_taken_back(make_project: Make) -> None:
    project = make_project("good")
    ask(project, "block", FIX, "--note", "wait")
    ask(project, "reopen", FIX)
    assert project.loop("--focus", FIX).code == 0


@pytest.mark.slow
def test_a_complete_item_that_was_blocked_and_reopened_is_done_without_a_turn(make_project: Make) -> None:
    project = make_project("good")
    project.loop("--focus", FIX)
    ask(project, "block", FIX, "--note", "wait")
    project.loop("--focus", FIX)
    ask(project, "reopen", FIX)
    done = project.loop("--focus", FIX)
    assert (done.code, done.focus(FIX)["status"], done.summary["turns_in_this_call"]) == (0, "done", 0)


def test_line_ends_of_input_and_memory_stay_as_they_are(make_project: Make) -> None:
    project = make_project("good")
    (project.root / "galph_memory.md").write_bytes(b"# Memory\r\n\r\nold words\r\n")
    project.commit()
    (project.root / "user_input.md").write_bytes(b"a 10%\r20%\n")
    assert project.loop("--focus", FIX).code == 0
    assert (project.work / "galph_memory.md").read_bytes().startswith(b"# Memory\r\n\r\nold words\r\n")


@pytest.mark.slow
def test_user_input_is_left_until_whoever_writes_it_has_closed_it(make_project: Make) -> None:
    project = make_project("good")
    with (project.root / "user_input.md").open("w") as stream:
        stream.write("half of ")
        stream.flush()
        project.loop("--iterations", "1")
        assert (project.root / "user_input.md").exists()
        stream.write("it\n")
    project.loop("--iterations", "1")
    assert [event["text"] for event in journal(project, "user.input")] == ["half of it\n"]


@pytest.mark.slow
def test_an_approval_leaves_what_the_run_itself_has_added(make_project: Make) -> None:
    project = make_project("good")
    text = (project.root / PLAN).read_text()
    project.write(PLAN, text.replace(TESTS, f"plans/active/{FIX}/acceptance"))
    project.commit("a folder is selected")
    project.loop("--focus", FIX)
    work = Project(project.root.parent / "work")
    project.git("worktree", "add", "-q", "--force", str(work.root), "loop/run-1")
    work.write(f"plans/active/{FIX}/acceptance/test_more.py", "def test_more():\n    pass\n")
    work.commit("a person's own commit on the run")
    project.git("worktree", "remove", "--force", str(work.root))
    project.write(PLAN, (project.root / PLAN).read_text() + "- [ ] A2: more\n  - Run: `true`\n")
    project.commit("A2")
    assert "test_more" not in ask(project, "approve", FIX)
    ask(project, "reopen", FIX)
    done = project.loop("--focus", FIX)
    assert done.focus(FIX)["verified"] == ["A1", "A2"], done.said
    assert project.git("show", f"loop/run-1:plans/active/{FIX}/acceptance/test_more.py")


@pytest.mark.slow
def test_an_approved_commit_that_is_amended_away_is_still_there(make_project: Make) -> None:
    project = make_project("good")
    project.loop("--focus", FIX, "--iterations", "1")
    project.write(PLAN, (project.root / PLAN).read_text() + "- [ ] A2: more\n  - Run: `true`\n")
    project.commit("A2")
    ask(project, "approve", FIX)
    project.git("-c", "user.name=u", "-c", "user.email=u@localhost", "commit", "-q", "--amend", "-m", "other words")
    project.git("reflog", "expire", "--expire=now", "--all")
    project.git("gc", "-q", "--prune=now")
    ask(project, "reopen", FIX)
    assert project.loop("--focus", FIX).focus(FIX)["verified"] == ["A1", "A2"]


@pytest.mark.slow
def test_the_patch_of_a_failed_turn_does_not_depend_on_settings_of_diff(
    make_project: Make, make_actor: Callable[[str], str]
) -> None:
    project = make_project("good")
    for key, value in (("diff.external", "/bin/true"), ("color.ui", "always"), ("diff.noprefix", "true")):
        project.git("config", key, value)
    actor = make_actor('def ralph():\n    write("half.py", "unfinished\\n")\n    sys.exit(3)\n')
    project.loop("--focus", FIX, "--iterations", "1", "--agent-command", actor)
    patch = project.root / ".orchestrator/turns/run-1/0002-ralph/abandoned.patch"
    project.git("apply", "--check", str(patch))
    assert "+unfinished" in patch.read_text()


@pytest.mark.slow
def test_a_rebuilt_run_has_all_its_turns_after_merges_and_beside_other_branches(make_project: Make) -> None:
    project = make_project("hasty")
    project.loop("--focus", FIX, "--iterations", "1")
    user = ("-c", "user.name=u", "-c", "user.email=u@localhost")
    project.git(*user, "merge", "-q", "--no-ff", "-m", "take over", "loop/run-1")
    project.git("branch", "loop/run-5", "main~1")
    work = Project(project.root / ".orchestrator/runs/run-1")
    work.git("merge", "-q", "--ff-only", "main")
    (project.root / ".orchestrator/journal.jsonl").unlink()
    done = project.loop("--focus", FIX, "--iterations", "1")
    assert "rebuilt run-1 from 2 commits" in done.said
    assert done.focus(FIX)["iterations"] == 2
    assert journal(project, "run.rebuilt")[0]["base"] == project.git("rev-list", "--max-parents=0", "main")


@pytest.mark.slow
@pytest.mark.parametrize("trailer", ["Turn-Id: run-1/0009-ralph", "Approved: by the boss"])
def test_odd_trailers_of_a_persons_commit_are_named_or_passed_over(make_project: Make, trailer: str) -> None:
    project = make_project("good")
    project.loop("--focus", FIX)
    work = Project(project.root / ".orchestrator/runs/run-1")
    work.write("mine.txt", "mine")
    work.commit(f"mine\n\n{trailer}")
    (project.root / ".orchestrator/journal.jsonl").unlink()
    done = project.loop("--focus", FIX)
    if trailer.startswith("Turn-Id"):
        assert done.code == 1
        assert "trailers of a turn, came none for" in done.said
    else:
        assert done.code == 0, done.said


@pytest.mark.slow
def test_a_shallow_clone_is_told_how_to_become_whole(make_project: Make) -> None:
    project = make_project("good")
    project.loop("--focus", FIX)
    shallow = Project(project.root.parent / "shallow")
    source = f"file://{project.root}"
    project.git("clone", "-q", "--depth", "2", "--no-single-branch", source, str(shallow.root))
    done = shallow.loop("--resume")
    assert done.code == 1
    assert "git fetch --unshallow" in done.said


def test_a_block_works_while_the_agent_has_removed_the_ledger_in_its_checkout(make_project: Make) -> None:
    project = make_project("good")
    project.loop("--focus", FIX, "--iterations", "1")
    (project.work / "docs/fix_plan.md").unlink()
    ask(project, "block", "MEAN-REPORT-001", "--note", "not yet")
    assert "MEAN-REPORT-001" in ask(project, "status")
