"""The loop as a child process, on a real repository, with scripted engineers and agent programs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Project

Make = Callable[[str], Project]
Actor = Callable[[str], str]


def contents(root: Path) -> dict[str, str]:
    """Hash of every file of a checkout, git's own and the loop's left out."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not {".git", ".orchestrator"} & set(path.relative_to(root).parts)
    }


def test_a_good_engineer_takes_both_items_to_their_end(make_project: Make) -> None:
    project = make_project("good")
    done = project.loop()
    assert done.code == 0, done.said
    assert done.focus("MEAN-FIX-001")["status"] == "done"
    assert done.focus("MEAN-REPORT-001")["verified"] == ["A1", "B1"]
    assert done.focus("MEAN-LATER-001")["status"] == "blocked"
    again = project.loop()
    assert again.code == 0
    assert again.summary["turns_in_this_call"] == 0
    assert "nothing was done twice" in again.said


def test_a_hasty_claim_is_refused_on_a_failing_test_and_the_second_turn_is_right(make_project: Make) -> None:
    project = make_project("hasty")
    done = project.loop("--focus", "MEAN-FIX-001")
    assert done.code == 0, done.said
    assert done.focus("MEAN-FIX-001")["refused"] == ["run-1/0002-ralph"]
    assert done.focus("MEAN-FIX-001")["iterations"] == 2
    assert "✗ claimed 'All mapped tests pass'; measured 1 passed, 1 failed, 2 collected" in done.said
    ledger = (project.work / "docs/fix_plan.md").read_text()
    assert "refused" in ledger
    assert "- Status: done" in ledger
    first = min((project.work / "plans/active/MEAN-FIX-001/reports").glob("*/A1/results.json"))
    results = json.loads(first.read_text())
    assert results["failing"] == ["plans/active/MEAN-FIX-001/acceptance/test_mean.py::test_the_mean_of_one_number"]
    assert results["imported_from"] == {"calc": str(project.root / ".orchestrator/verify/calc.py")}


OWNED = re.compile(
    r"docs/fix_plan\.md|galph_memory\.md|input\.md|docs/archive/(?:galph_memory|fix_plan)\.md"
    r"|plans/active/[^/]+/(?:summary\.md|implementation\.md|reports/.+)"
)


def check_commits(project: Project) -> None:
    """Hold every commit of a run against the tree that was measured for it."""
    for commit in project.git("rev-list", "main..loop/run-1").split():
        text = project.git("show", "-s", "--format=%(trailers:only)", commit)
        trailers = dict(line.split(": ", 1) for line in text.splitlines())
        assert {"Turn-Id", "Role", "Focus", "Dwell", "Verdict", "Criteria", "Tests", "Verified-Tree", "Hub"} <= set(
            trailers
        )
        touched = project.git("diff", "--name-only", trailers["Verified-Tree"], commit).splitlines()
        assert touched
        assert [path for path in touched if not OWNED.fullmatch(path)] == []


@pytest.mark.slow
def test_one_commit_a_turn_carries_the_trailers_and_touches_harness_paths_only(make_project: Make) -> None:
    project = make_project("good")
    project.loop()
    check_commits(project)


def test_a_liar_is_blocked_after_four_cycles_and_the_report_says_why(make_project: Make) -> None:
    project = make_project("liar")
    done = project.loop("--focus", "MEAN-FIX-001")
    assert done.code == 12, done.said
    focus = done.focus("MEAN-FIX-001")
    assert (focus["status"], focus["iterations"], focus["dwell"], focus["verified"]) == ("blocked", 4, 4, [])
    report = next((project.work / "plans/active/MEAN-FIX-001/reports").glob("*/blocker.md")).read_text()
    assert report.count("refused") == 4
    check_commits(project)


@pytest.mark.slow
def test_a_lazy_engineer_makes_no_progress_and_is_blocked_too(make_project: Make) -> None:
    done = make_project("lazy").loop("--focus", "MEAN-FIX-001")
    assert done.code == 12, done.said
    assert done.focus("MEAN-FIX-001")["iterations"] == 4


def test_the_users_own_uncommitted_files_stay_byte_for_byte(make_project: Make) -> None:
    project = make_project("good")
    project.write("calc.py", "# my own work in progress\n")
    project.write("staged ünd new.txt", "staged\n")
    project.git("add", "staged ünd new.txt")
    project.write("untracked\nwith newline.txt", "x")
    index = (project.root / ".git/index").read_bytes()
    before, status = contents(project.root), project.git("status", "--porcelain")
    done = project.loop()
    assert done.code == 0, done.said
    assert "left alone and no part of the run: 3 uncommitted paths of yours" in done.said
    assert contents(project.root) == before
    assert project.git("status", "--porcelain") == status
    assert (project.root / ".git/index").read_bytes() == index
    assert project.git("rev-parse", "--abbrev-ref", "HEAD") == "main"


def test_a_second_loop_on_the_repository_is_turned_away(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    actor = make_actor("import time; time.sleep(30)")
    first = start(project, "--agent-command", actor)
    try:
        wait_for(lambda: (project.root / ".orchestrator/turns/run-1/0001-galph/agent.log").exists())
        done = project.loop()
        assert done.code == 75
        assert str(first.pid) in done.said
    finally:
        first.send_signal(signal.SIGINT)
        assert first.wait(20) == 130


def start(project: Project, *arguments: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-P", "-m", "orchestrator.loop", *arguments]
    with (project.root.parent / "loop.log").open("ab") as log:
        return subprocess.Popen(argv, cwd=project.root, env=project.environment, stdout=log, stderr=log)


def wait_for(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def has_ended(pid: str) -> bool:
    """Whether a process is gone, or dead and only not waited for by whoever inherited it."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_killed_loop_goes_on_with_nothing_lost_and_its_agent_ended(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    marker = project.root.parent / "agent.pid"
    actor = make_actor(
        f"""
def ralph():
    write("half.py", "unfinished")
    pathlib.Path({str(marker)!r}).write_text(str(os.getpid()))
    import time; time.sleep(60)
"""
    )
    running = start(project, "--agent-command", actor, "--sandbox", "off")
    wait_for(lambda: marker.exists() and marker.read_text() != "")
    running.kill()
    running.wait()
    done = project.loop()
    assert done.code == 0, done.said
    assert "run-1/0002-ralph was cut short and is undone" in done.said
    assert "unfinished" in (project.root / ".orchestrator/turns/run-1/0002-ralph/abandoned.patch").read_text()
    assert not (project.work / "half.py").exists()
    assert has_ended(marker.read_text())
    turns = project.git("log", "--format=%(trailers:key=Turn-Id,valueonly)", "main..loop/run-1").split()
    assert len(turns) == len(set(turns))
    assert done.focus("MEAN-FIX-001")["iterations"] == 1


def test_an_interrupt_ends_the_loop_at_a_safe_point_and_the_next_start_goes_on(
    make_project: Make, make_actor: Actor
) -> None:
    project = make_project("good")
    running = start(project, "--agent-command", make_actor("def ralph():\n    import time; time.sleep(60)"))
    wait_for(lambda: (project.root / ".orchestrator/turns/run-1/0002-ralph/agent.log").exists())
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 130
    done = project.loop()
    assert done.code == 0, done.said
    assert done.focus("MEAN-FIX-001")["iterations"] == 1
    assert done.focus("MEAN-FIX-001")["dwell"] == 0


@pytest.mark.slow
def test_stop_ends_the_loop_after_the_turn_under_way(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    actor = make_actor("def ralph():\n    right()\n    import time; time.sleep(2)")
    running = start(project, "--agent-command", actor)
    wait_for(lambda: (project.root / ".orchestrator/turns/run-1/0002-ralph/agent.log").exists())
    assert project.command("orchestrator", "stop").returncode == 0
    assert running.wait(30) == 130
    assert project.git("rev-list", "--count", "main..loop/run-1") == "2"


@pytest.mark.slow
def test_an_item_whose_need_is_missing_waits_and_wakes_when_it_is_there(make_project: Make) -> None:
    project = make_project("good")
    plan = "plans/active/MEAN-FIX-001/implementation.md"
    project.write(plan, (project.root / plan).read_text().rstrip("\n") + "\n  - Needs: dataset:numbers\n")
    project.write(
        "fetch.py", "import pathlib, sys\nsys.exit(0 if pathlib.Path(sys.argv[1]).exists() else 'no network')\n"
    )
    there = project.root.parent / "data" / "numbers"
    settings = f"needs:\n  dataset: python fetch.py {str(there)!r}\nneeds_folder: [{str(there.parent)!r}]\n"
    project.write("orchestration.yaml", settings)
    project.commit()
    done = project.loop()
    assert done.code == 10, done.said
    assert done.focus("MEAN-FIX-001")["status"] == "waiting"
    assert "dataset:numbers is missing (no network)" in done.focus("MEAN-FIX-001")["obstacle"]
    there.write_text("1 2 6")
    woken = project.loop()
    assert woken.code == 0, woken.said
    assert woken.focus("MEAN-FIX-001")["status"] == "done"


def test_an_item_that_a_person_lets_wait_does_not_start_by_itself(make_project: Make) -> None:
    project = make_project("good")
    ledger = (project.root / "docs/fix_plan.md").read_text()
    project.write("docs/fix_plan.md", ledger.replace("Status: pending", "Status: waiting — beam time on Monday", 1))
    project.commit()
    done = project.loop()
    assert done.code == 10, done.said
    assert done.focus("MEAN-FIX-001")["obstacle"] == "waiting: beam time on Monday"


def test_an_interrupt_while_a_need_is_provided_leaves_the_item_as_it_was(make_project: Make) -> None:
    project = make_project("good")
    plan = "plans/active/MEAN-FIX-001/implementation.md"
    project.write(plan, (project.root / plan).read_text().rstrip("\n") + "\n  - Needs: dataset:numbers\n")
    project.write("orchestration.yaml", "needs:\n  dataset: sleep 60\n")
    project.commit()
    running = start(project)
    wait_for(lambda: (project.root / ".orchestrator/needs/dataset-numbers.log").exists())
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 130
    status = json.loads(project.command("orchestrator", "status", "--json").stdout)
    assert status["items"][0]["status"] == "pending"


def test_a_template_that_asks_for_more_than_there_is_ends_the_run_with_nothing_left_open(make_project: Make) -> None:
    project = make_project("good")
    project.write("prompts/supervisor.md", "{{ no_such_fact }}")
    project.commit()
    done = project.loop()
    assert done.code == 2
    assert "'no_such_fact' is undefined" in done.said
    assert json.loads(project.command("orchestrator", "status", "--json").stdout)["open_turn"] is None


def test_an_agent_program_given_by_a_relative_path_is_found_from_where_the_loop_is_called(make_project: Make) -> None:
    project = make_project("good")
    project.write("my agent", "#!/bin/sh\nexit 3\n")
    (project.root / "my agent").chmod(0o755)
    done = project.loop("--agent-command", "'./my agent' {prompt_file}", "--iterations", "1")
    assert "agent command: exit code 3 after" in done.said


def test_limits_end_the_run_with_their_own_code(make_project: Make) -> None:
    project = make_project("good")
    assert project.loop("--iterations", "1").code == 13
    assert project.git("rev-list", "--count", "main..loop/run-1") == "2"


def test_a_dry_run_changes_nothing(make_project: Make) -> None:
    project = make_project("good")
    done = project.command("orchestrator.loop", "--dry-run", "--show-config")
    assert done.returncode == 0
    assert "would work on: MEAN-FIX-001" in done.stdout
    assert 'engineer = "plan"  (default)' in done.stdout
    for key in ("agent_command", "iterations", "needs"):
        assert f"{key} = none  (default)" in done.stdout
    assert not (project.root / ".orchestrator").exists()


def test_wrong_flags_and_settings_are_errors_that_name_the_cure(make_project: Make) -> None:
    project = make_project("good")
    assert project.command("orchestrator.loop", "--itertions", "3").returncode == 2
    for arguments, said in (
        (["--agent", "clippy"], "unknown agent 'clippy'; known are plan, command, good"),
        (["--iterations", "many"], "flag --iterations: iterations must be a positive number, not 'many'"),
        (["--focus", "NO-SUCH-001"], "known are MEAN-FIX-001"),
        (["--agent-command", "nosuchprog {prompt_file}"], "nosuchprog: no such program on the PATH; install"),
        (["--agent-command", "tools/agent.sh {prompt_file}"], "tools/agent.sh: no such program; install"),
    ):
        done = project.command("orchestrator.loop", *arguments)
        assert done.returncode == 2
        assert said in done.stderr
    project.write("orchestration.yaml", "priorty: High\n")
    done = project.command("orchestrator.loop")
    assert done.returncode == 2
    assert "unknown key 'priorty'" in done.stderr


def test_a_damaged_ledger_stops_the_loop_with_path_and_line(make_project: Make) -> None:
    project = make_project("good")
    ledger = project.root / "docs/fix_plan.md"
    ledger.write_text(ledger.read_text().replace("Status: pending", "Status: donee", 1))
    project.commit()
    done = project.loop()
    assert done.code == 2
    assert "docs/fix_plan.md:6:" in done.said
    assert "donee" in done.said


def test_a_plan_with_a_problem_is_not_run_and_every_command_says_why(make_project: Make) -> None:
    project = make_project("good")
    plan = "plans/active/MEAN-FIX-001/implementation.md"
    for row, said in (
        ("Run: `echo a | grep b`", f"{plan}:5: expected a command without a shell"),
        ("Expect: `a.json exists`", f"{plan}:4: expected a `Run:` or a `Test:`"),
    ):
        project.write(plan, f"# M\n\n## Phase A — a\n- [ ] A1: proved by nothing\n  - {row}\n")
        project.commit()
        assert said in project.command("orchestrator", "status").stdout
        assert said in project.command("orchestrator", "doctor").stdout
        assert said in project.command("orchestrator", "parse", "plan", plan).stderr
    assert project.loop("--focus", "MEAN-FIX-001").code == 11


def test_a_row_whose_program_does_not_exist_says_so(make_project: Make) -> None:
    project = make_project("good")
    plan = "plans/active/MEAN-FIX-001/implementation.md"
    project.write(plan, "# M\n\n## Phase A — a\n- [ ] A1: it runs\n  - Run: `nosuchprog {hub}`\n")
    project.commit()
    assert "A1: nosuchprog: no such program" in project.loop("--focus", "MEAN-FIX-001", "--iterations", "1").said


@pytest.mark.slow
def test_status_and_show_tell_what_the_run_left(make_project: Make) -> None:
    project = make_project("good")
    assert json.loads(project.command("orchestrator", "status", "--json").stdout)["runnable"] == ["MEAN-FIX-001"]
    project.loop()
    status = json.loads(project.command("orchestrator", "status", "--json").stdout)
    assert [item["status"] for item in status["items"]] == ["done", "done", "blocked"]
    assert "MEAN-REPORT-001" in project.command("orchestrator", "show", "memory").stdout
    assert "A1/results.json" in project.command("orchestrator", "show", "hub", "MEAN-FIX-001").stdout
    first, *labels = project.command("orchestrator", "show", "turn", "run-1/0002-ralph").stdout.splitlines()
    assert first == "turn run-1/0002-ralph, role ralph, focus MEAN-FIX-001, verdict progress"
    assert {"  verified rows: A1", "  failing tests: none", "  progress: yes", "  dwell: 0"} <= set(labels)
    assert project.command("orchestrator", "show", "turn", "run-9/0001-galph").returncode == 1


@pytest.mark.slow
def test_fresh_starts_a_new_run_beside_the_old_one(make_project: Make) -> None:
    project = make_project("good")
    project.loop("--iterations", "1")
    done = project.loop("--iterations", "1", "--fresh")
    assert done.summary["branch"] == "loop/run-2"
    assert project.git("rev-list", "--count", "main..loop/run-1") == "2"
    assert project.git("rev-list", "--count", "main..loop/run-2") == "2"


def test_a_loop_in_a_copy_of_a_repository_leaves_the_loop_of_the_original_alone(
    make_project: Make, make_actor: Actor
) -> None:
    project = make_project("good")
    first = start(project, "--agent-command", make_actor("import time; time.sleep(30)"))
    try:
        wait_for(lambda: (project.root / ".orchestrator/turns/run-1/0001-galph/agent.log").exists())
        copy = Project(project.root.parent / "copy")
        shutil.copytree(project.root, copy.root, symlinks=True)
        done = copy.loop()
        assert done.code == 75
        assert f"process {first.pid}, which opened this run, still works" in done.said
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGINT)
        assert first.wait(20) == 130


def test_nothing_is_begun_without_a_ledger_or_with_an_unknown_focus(make_project: Make) -> None:
    project = make_project("good")
    done = project.loop("--focus", "MEAN-FIXED-001")
    assert done.code == 2
    assert "known are MEAN-FIX-001" in done.said
    project.git("rm", "-q", "--cached", "docs/fix_plan.md")
    project.git("-c", "user.name=u", "-c", "user.email=u@localhost", "commit", "-qm", "without")
    assert "`git add docs/fix_plan.md`, commit, then start again" in project.loop().said
    (project.root / "docs/fix_plan.md").unlink()
    assert "`python -m orchestrator init .` makes one; commit it" in project.loop().said
    assert not project.git("branch", "--list", "loop/*")


def test_a_run_in_which_nothing_happened_yet_begins_again_where_the_checkout_is(make_project: Make) -> None:
    project = make_project("good")
    plan = project.root / "plans/active/MEAN-FIX-001/implementation.md"
    text = plan.read_text()
    plan.write_text("# Not written yet\n")
    project.commit("later")
    assert project.loop("--focus", "MEAN-FIX-001").summary["turns"] == 0
    plan.write_text(text)
    project.commit("the plan")
    shown = project.command("orchestrator.loop", "--dry-run", "--fresh", "--focus", "MEAN-FIX-001").stdout
    assert "would work on: MEAN-FIX-001" in shown
    done = project.loop("--focus", "MEAN-FIX-001")
    assert (done.code, done.summary["run"]) == (0, "run-2")


def test_an_engineer_program_leaves_the_embedded_supervisor_its_part(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    done = project.loop("--focus", "MEAN-FIX-001", "--engineer", "command", "--agent-command", make_actor(""))
    assert done.code == 0, done.said
    assert '"name":"plan"' in (project.root / ".orchestrator/journal.jsonl").read_text()
