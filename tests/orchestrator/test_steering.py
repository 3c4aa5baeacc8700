"""What people may ask of a loop: every request is entered once, and takes effect between two turns."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Project
from .test_loop import start, wait_for

Make = Callable[[str], Project]
Actor = Callable[[str], str]
FIX = "MEAN-FIX-001"
# A galph that waits in its turn until the test has spoken.
WAITING = """
def galph():
    import time
    (pathlib.Path({here!r}) / "at work").touch()
    while not (pathlib.Path({here!r}) / "go on").exists():
        time.sleep(0.02)
    supervise(facts, work)
"""


def journal(project: Project, kind: str) -> list[dict[str, object]]:
    lines = (project.root / ".orchestrator/journal.jsonl").read_text().splitlines()
    return [event["data"] for event in map(json.loads, lines) if event["kind"] == kind]


def ask(project: Project, *words: str) -> str:
    done = project.command("orchestrator", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def while_galph_works(project: Project, make_actor: Actor, speak: Callable[[], object], *arguments: str) -> int:
    """Start the loop, speak while the supervisor is at work, and give the exit code."""
    here = project.root.parent
    running = start(project, "--agent-command", make_actor(WAITING.format(here=str(here))), *arguments)
    try:
        wait_for(lambda: (here / "at work").exists())
        speak()
        (here / "go on").touch()
        return running.wait(60)
    finally:
        running.kill()


@pytest.mark.slow
def test_stop_lets_the_turn_under_way_finish_and_the_next_start_goes_on(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    code = while_galph_works(project, make_actor, lambda: ask(project, "stop"))
    assert code == 130
    assert [event["kind"] for event in journal(project, "override")] == ["stop"]
    assert len(journal(project, "turn.committed")) == 1
    assert project.loop().code == 0
    assert len(journal(project, "override")) == 1


@pytest.mark.slow
def test_a_stop_that_nobody_answered_is_answered_by_the_next_start_and_only_once(
    make_project: Make, make_actor: Actor
) -> None:
    project = make_project("good")
    here = project.root.parent
    running = start(project, "--agent-command", make_actor(WAITING.format(here=str(here))))
    wait_for(lambda: (here / "at work").exists())
    ask(project, "stop")
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert project.loop().code == 130
    assert journal(project, "turn.committed") == []
    assert project.loop().code == 0


@pytest.mark.slow
def test_an_item_blocked_while_its_handoff_is_written_is_not_worked_on(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")

    def speak() -> None:
        ask(project, "block", FIX, "--note", "the formula is wrong")

    assert while_galph_works(project, make_actor, speak, "--focus", FIX) == 12
    assert [event["record"]["role"] for event in journal(project, "turn.committed")] == ["galph"]
    status = json.loads(ask(project, "status", "--json"))
    (item,) = (item for item in status["items"] if item["id"] == FIX)
    assert (item["status"], item["obstacle"]) == ("blocked", "blocked: the formula is wrong")

    refused = project.command("orchestrator", "block", FIX, "--note", "again")
    assert refused.returncode == 2
    assert "its status is blocked" in refused.stderr
    assert "next" in ask(project, "reopen", FIX)
    assert f"not heard before the next start: reopen {FIX} by" in ask(project, "status")
    done = project.loop()
    assert done.code == 0, done.said
    assert done.focus(FIX)["status"] == "done"


@pytest.mark.slow
def test_clear_brings_an_item_back_with_dwell_0_and_nothing_else_does(make_project: Make) -> None:
    project = make_project("liar")
    assert project.loop("--focus", FIX).focus(FIX)["dwell"] == 4
    assert project.loop("--focus", FIX).code == 12
    ask(project, "clear", FIX, "--note", "the plan was unclear")
    done = project.loop("--focus", FIX, "--iterations", "1")
    assert done.code == 13
    assert (done.focus(FIX)["status"], done.focus(FIX)["dwell"]) == ("in_progress", 1)
    assert project.command("orchestrator", "clear", FIX).returncode == 2


@pytest.mark.slow
def test_an_item_that_is_reopened_after_it_was_done_is_measured_again(make_project: Make) -> None:
    project = make_project("good")
    project.loop("--focus", FIX)
    ask(project, "reopen", FIX)
    done = project.loop("--focus", FIX)
    assert done.code == 0
    assert (done.focus(FIX)["iterations"], done.focus(FIX)["status"]) == (2, "done")


@pytest.mark.slow
def test_a_priority_a_person_sets_decides_what_runs_and_stands_in_the_ledger(make_project: Make) -> None:
    project = make_project("good")
    ask(project, "prioritise", FIX, "low")
    assert project.loop().summary["turns"] == 0
    ask(project, "prioritise", FIX, "Critical")
    assert project.loop().code == 0
    assert "- Priority: **Critical**" in (project.work / "docs/fix_plan.md").read_text()


@pytest.mark.slow
def test_a_budget_raised_while_the_loop_runs_is_used(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    assert "no loop is running" in project.command("orchestrator", "raise-budget", "--iterations", "1").stdout

    def speak() -> None:
        ask(project, "raise-budget", "--iterations", "3")

    assert while_galph_works(project, make_actor, speak, "--iterations", "1") == 0
    assert len(journal(project, "turn.committed")) == 6


@pytest.mark.slow
def test_a_paused_loop_holds_until_it_is_let_go_on(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    here = project.root.parent
    running = start(project, "--agent-command", make_actor(WAITING.format(here=str(here))))
    try:
        wait_for(lambda: (here / "at work").exists())
        ask(project, "pause", "--note", "the beam is down")
        (here / "go on").touch()
        wait_for(lambda: b"paused (the beam is down)" in (here / "loop.log").read_bytes())
        assert len(journal(project, "turn.committed")) == 1
        assert "paused: the beam is down" in ask(project, "status")
        ask(project, "pause", "--off")
        assert running.wait(60) == 0
    finally:
        running.kill()


def test_user_input_reaches_one_handoff_and_is_kept(make_project: Make) -> None:
    project = make_project("good")
    words = "Prefer the arithmetic mean.\nünï <b>code</b> {{ turn }}\n"
    project.write("user_input.md", words)
    done = project.loop("--focus", FIX)
    assert done.code == 0, done.said
    assert "user_input.md is taken" in done.said
    assert not (project.root / "user_input.md").exists()
    (kept,) = (project.root / ".orchestrator/user_input").iterdir()
    assert kept.read_text() == words
    (event,) = journal(project, "user.input")
    assert event["text"] == words
    prompts = sorted((project.root / ".orchestrator/turns/run-1").glob("*-galph/prompt.md"))
    assert "    ünï <b>code</b> {{ turn }}" in prompts[0].read_text()
    project.loop()
    assert "> ünï <b>code</b> {{ turn }}" in (project.work / "galph_memory.md").read_text()
    later = sorted((project.root / ".orchestrator/turns/run-1").glob("*-galph/prompt.md"))[1:]
    assert later
    assert not any("arithmetic" in path.read_text() for path in later)
    message = project.git("log", "--format=%B", "main..loop/run-1")
    assert message.count(f"User-Input: {event['id']}") == 1


def test_user_input_that_git_tracks_is_left_where_it_is(make_project: Make) -> None:
    project = make_project("good")
    project.write("user_input.md", "words")
    project.commit()
    assert "is tracked by git and stays" in project.loop("--iterations", "1").said
    assert (project.root / "user_input.md").read_text() == "words"


@pytest.mark.slow
def test_the_notify_command_hears_of_items_and_limits(make_project: Make) -> None:
    project = make_project("good")
    heard = project.root.parent / "heard.jsonl"
    script = project.root.parent / "notify.py"
    script.write_text(f"import sys; open({str(heard)!r}, 'a').write(sys.stdin.read() + '\\n')")
    project.write("orchestration.yaml", f"notify: {sys.executable} {script}\n")
    assert project.loop("--iterations", "1").code == 13
    assert project.loop().code == 0
    events = [json.loads(line) for line in heard.read_text().splitlines()]
    assert [(event["event"], event.get("item")) for event in events] == [
        ("done", FIX),
        ("budget", None),
        ("done", "MEAN-REPORT-001"),
        ("ended", None),
    ]


@pytest.mark.slow
def test_a_notify_command_that_fails_is_told_and_stops_nothing(make_project: Make) -> None:
    project = make_project("good")
    project.write("orchestration.yaml", "notify: /no/such/program\n")
    done = project.loop("--focus", FIX)
    assert done.code == 0
    assert "notify: /no/such/program ended with not-started" in done.said


def change_criteria(project: Project) -> None:
    plan = "plans/active/MEAN-FIX-001/implementation.md"
    text = (project.root / plan).read_text() + (
        "- [ ] A2: the median is out of scope\n"
        "  - Run: `python -c 'import calc; assert not hasattr(calc, \"median\")'`\n"
    )
    project.write(plan, text)
    tests = "plans/active/MEAN-FIX-001/acceptance/test_mean.py"
    project.write(tests, (project.root / tests).read_text().replace("== 3", "== 3.0"))
    project.commit("A2")


@pytest.mark.slow
def test_changed_criteria_hold_once_a_person_has_approved_them(make_project: Make) -> None:
    project = make_project("good")
    project.loop("--focus", FIX)
    change_criteria(project)
    shown = ask(project, "approve", FIX, "--dry-run")
    assert "+- [ ] A2: the median is out of scope" in shown
    assert "+    assert mean([1, 2, 6]) == 3.0" in shown
    assert project.loop("--focus", FIX).summary["turns_in_this_call"] == 0  # nothing was approved yet
    assert "asked: approve" in ask(project, "approve", FIX)
    ask(project, "reopen", FIX)
    done = project.loop("--focus", FIX)
    assert done.code == 0, done.said
    assert "0 of its rows stay verified" in done.said
    assert done.focus(FIX)["verified"] == ["A1", "A2"]
    trailers = project.git("log", "--format=%(trailers:key=Approved,valueonly)", "main..loop/run-1").split()
    assert trailers == [project.git("rev-parse", "main")]
    again = project.command("orchestrator", "approve", FIX)
    assert (again.returncode, "nothing to approve: " in again.stdout) == (1, True)
    test = "plans/active/MEAN-FIX-001/acceptance/test_mean.py"
    project.write(test, "def test_nothing():\n    pass\n")
    assert f"{test} is not committed; commit it first" in project.command("orchestrator", "approve", FIX).stdout


@pytest.mark.slow
def test_an_engineer_cannot_weaken_what_a_person_approved(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    project.loop("--focus", FIX, "--iterations", "1")
    change_criteria(project)
    ask(project, "approve", FIX)
    ask(project, "reopen", FIX)
    actor = make_actor(
        """
def ralph():
    swap("plans/active/MEAN-FIX-001/acceptance/test_mean.py", "== 3.0", "< 99")
    write("calc.py", "def mean(values):\\n    return 7\\n")
    say("All is well.")
"""
    )
    done = project.loop("--focus", FIX, "--iterations", "1", "--agent-command", actor)
    assert "test_mean.py: was put back" in done.said
    assert done.focus(FIX)["verified"] == ["A2"], done.said


@pytest.mark.slow
def test_a_request_is_entered_by_the_loop_even_when_it_was_started_in_another_worktree(
    make_project: Make, make_actor: Actor
) -> None:
    project = make_project("good")
    other = project.root.parent / "other"
    project.git("worktree", "add", "-q", "-b", "side", str(other))

    def speak() -> None:
        ask(Project(other), "stop")

    assert while_galph_works(project, make_actor, speak) == 130


def test_a_damaged_request_is_named(make_project: Make) -> None:
    project = make_project("good")
    folder = project.root / ".orchestrator/requests"
    folder.mkdir(parents=True)
    Path(folder / "1-1.json").write_text("{")
    done = project.loop()
    assert done.code == 1
    assert "1-1.json: expected a request" in done.said
