"""Items that wait or are blocked go on when what they wait for is there: seen at the start of every iteration."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest

from .conftest import Project
from .test_loop import start, wait_for
from .test_steering import ask, journal

Make = Callable[[str], Project]
Actor = Callable[[str], str]
FIX = "MEAN-FIX-001"


def enter(project: Project, status: str, condition: str, further: str = "") -> None:
    """Give the first item of the ledger a status and a return condition, and commit."""
    ledger = (project.root / "docs/fix_plan.md").read_text()
    fields = f"- Status: {status}\n- Return Condition: {condition}\n{further}"
    project.write("docs/fix_plan.md", ledger.replace("- Status: pending\n", fields, 1))
    project.commit()


@pytest.mark.slow
def test_a_waiting_item_goes_on_while_the_loop_waits_and_not_before_its_file_is_there(make_project: Make) -> None:
    project = make_project("good")
    enter(project, "waiting — for the detector", "\n  command `touch looked` exits 0\n  file data/ready exists")
    looked = project.root / "looked"
    done = project.loop("--focus", FIX)
    assert (done.code, done.summary["turns"]) == (10, 0)
    waits_for = "goes on when command `touch looked` exits 0; file data/ready exists"
    assert done.focus(FIX)["obstacle"] == f"waiting: for the detector; {waits_for}"
    looked.unlink()
    running = start(project, "--focus", FIX, "--wait", "2min")
    for _ in range(2):  # it looks again, by itself
        wait_for(looked.exists)
        looked.unlink()
    project.write("data/ready", "")
    assert running.wait(60) == 0
    assert project.loop("--focus", FIX, "--wait", "1 s").code == 0, "nothing waits any more"


@pytest.mark.parametrize("how", ["stop", "signal"])
def test_a_loop_that_waits_is_ended_at_once(make_project: Make, how: str) -> None:
    project = make_project("good")
    enter(project, "waiting", "after 2999-01-01")
    running = start(project, "--focus", FIX, "--wait", "1h")
    wait_for(lambda: (project.root / ".orchestrator/current").exists())  # and with it the journal's first lines
    ask(project, "stop") if how == "stop" else running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 130


@pytest.mark.slow
def test_waiting_ends_with_its_own_code_when_its_time_is_over(make_project: Make) -> None:
    project = make_project("good")
    enter(project, "blocked", "command `test -e ready` exits 0")
    done = project.loop("--focus", FIX, "--wait", "2s")
    assert (done.code, done.summary["turns"]) == (10, 0), done.said
    assert done.said.count("nothing runnable; looking again") == 2
    project.write("ready", "")
    assert project.loop("--focus", FIX, "--iterations", "1").focus(FIX)["verified"] == ["A1"]


@pytest.mark.slow
def test_a_condition_that_is_met_gives_two_iterations_once_and_escalation_ends_it(make_project: Make) -> None:
    project = make_project("lazy")
    enter(project, "pending", "file ready exists", "- Dwell Limits: 1/2/6\n")
    assert project.loop("--focus", FIX).focus(FIX)["dwell"] == 2
    project.write("ready", "")
    done = project.loop("--focus", FIX)
    assert (done.code, done.focus(FIX)["dwell"], done.focus(FIX)["status"]) == (12, 4, "blocked")
    assert project.loop("--focus", FIX).summary["turns_in_this_call"] == 0, "it is met still, and was used"
    (project.root / "ready").unlink()
    assert project.loop("--focus", FIX).summary["turns_in_this_call"] == 0
    project.write("ready", "")
    done = project.loop("--focus", FIX)
    assert (done.focus(FIX)["dwell"], done.focus(FIX)["status"]) == (6, "blocked_escalation")
    assert project.loop("--focus", FIX).summary["turns_in_this_call"] == 0
    assert [event["met"] for event in journal(project, "item.condition")] == [True, False, True]
    assert project.command("orchestrator", "reopen", FIX).returncode == 2
    ask(project, "clear", FIX)
    assert project.loop("--focus", FIX, "--iterations", "1").focus(FIX)["dwell"] == 1


@pytest.mark.slow
def test_a_condition_that_is_met_does_not_overrule_a_person_who_blocked_the_item(make_project: Make) -> None:
    project = make_project("good")
    enter(project, "pending", "after 2020-01-01")
    ask(project, "block", FIX, "--note", "not now")
    done = project.loop("--focus", FIX)
    assert (done.summary["turns"], done.focus(FIX)["obstacle"]) == (0, "blocked: not now")
    ask(project, "reopen", FIX)
    assert project.loop("--focus", FIX).code == 0


@pytest.mark.slow
def test_an_item_that_waits_for_another_goes_on_when_that_is_done(make_project: Make) -> None:
    project = make_project("good")
    ledger = (project.root / "docs/fix_plan.md").read_text()
    ledger = ledger.replace(f"Depends on: {FIX}", "Depends on: None")
    head, _, rest = ledger.rpartition("- Status: pending\n")
    project.write("docs/fix_plan.md", f"{head}- Status: waiting\n- Return Condition: {FIX} done\n{rest}")
    project.commit()
    done = project.loop()
    assert (done.code, done.focus("MEAN-REPORT-001")["status"]) == (0, "done"), done.said


def test_what_an_item_waits_for_has_to_exist_and_no_two_wait_for_each_other(make_project: Make) -> None:
    project = make_project("good")
    ledger = (project.root / "docs/fix_plan.md").read_text()
    for old, new, said in (
        (
            f"Depends on: {FIX}",
            "Depends on: MEAN-GONE-001",
            "docs/fix_plan.md:14: MEAN-REPORT-001 waits for MEAN-GONE-001",
        ),
        (
            "a person says which mean is wanted",
            "finding CONFIG-001 resolved",
            "docs/fix_plan.md:25: MEAN-LATER-001 waits for CONFIG-001",
        ),
        (
            "- Priority: High\n",
            "- Return Condition: MEAN-REPORT-001 done\n- Priority: High\n",
            "docs/fix_plan.md:3: items",
        ),
    ):
        project.write("docs/fix_plan.md", ledger.replace(old, new, 1))
        project.commit()
        for command in (project.command("orchestrator.loop", "--fresh"), project.command("orchestrator", "status")):
            assert command.returncode == 2
            assert said in command.stderr, command.stderr
    assert f"{FIX} → MEAN-REPORT-001 → {FIX}" in command.stderr


@pytest.mark.slow
def test_a_finding_is_waited_for_and_no_agent_takes_it_away(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    table = "| Finding ID | Date | Keywords | Synopsis | Evidence Pointer | Status |\n|---|---|---|---|---|---|\n"
    project.write("docs/findings.md", f"# Findings\n\n{table}| CONFIG-001 | 2026-01-01 | a | b | c | Active |\n")
    ledger = (project.root / "docs/fix_plan.md").read_text()
    project.write("docs/fix_plan.md", ledger.replace(f"Depends on: {FIX}", "Depends on: CONFIG-001"))
    project.commit()
    actor = make_actor(
        """
def ralph():
    right()
    say("Did what the handoff asks.")
    if item["id"] == "MEAN-FIX-001":
        if facts["iteration"] > 1:
            swap("docs/findings.md", "Active", "Resolved")
        else:
            (work / "docs/findings.md").unlink()
            write("calc.py", "def mean(values):\\n    return 0\\n")
"""
    )
    done = project.loop("--agent-command", actor)
    assert done.code == 0, done.said
    assert "docs/findings.md: was put back (CONFIG-001 is gone from it)" in done.said
    assert "[FENCE-FINDING]" in done.said
    assert done.focus("MEAN-REPORT-001")["status"] == "done"


@pytest.mark.slow
def test_an_item_that_a_supervisor_adds_is_a_proposal_until_a_person_takes_it_up(
    make_project: Make, make_actor: Actor
) -> None:
    project = make_project("good")
    actor = make_actor(
        r"""
def galph():
    supervise(facts, work)
    text = (work / "docs/fix_plan.md").read_text()
    if "MEAN-NEW-001" not in text:
        write("docs/fix_plan.md", text + "\n### [MEAN-NEW-001] Another name for it\n- Depends on: None\n"
              "- Priority: Critical\n- Status: pending\n- Return Condition: command `touch gone` exits 0\n")
        write("plans/active/MEAN-NEW-001/implementation.md",
              "# MEAN-NEW-001\n\n## Phase A — a\n- [ ] A1: it runs\n  - Run: `true`\n")
"""
    )
    done = project.loop("--agent-command", actor)
    assert done.focus("MEAN-NEW-001")["iterations"] == 0, done.said
    assert "proposed by the supervisor" in done.focus("MEAN-NEW-001")["obstacle"]
    assert not (project.root / "gone").exists()
    ask(project, "reopen", "MEAN-NEW-001")
    assert project.loop("--agent-command", actor).focus("MEAN-NEW-001")["status"] == "done"


def test_the_time_to_wait_is_read_with_its_unit(make_project: Make) -> None:
    project = make_project("good")
    for text, seconds in (("90s", 90.0), ("2 h", 7200.0), ("10min", 600.0), ("5", 5.0)):
        shown = project.command("orchestrator.loop", "--show-config", "--json", "--wait", text)
        assert json.loads(shown.stdout)["config"]["wait"]["value"] == seconds
    refused = project.command("orchestrator.loop", "--wait", "soon")
    assert refused.returncode == 2
    assert "wait must be a time such as 90s, 10min or 2h, not 'soon'" in refused.stderr
