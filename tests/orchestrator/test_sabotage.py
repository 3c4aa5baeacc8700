"""Agents without walls around them that go for the harness itself: its checkout, runner, folders, the user's files."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import Finished, Project

Make = Callable[[str], Project]
Actor = Callable[[str], str]

FIX = "plans/active/MEAN-FIX-001"
PASSED = "MEAN-FIX-001"


def play(project: Project, actor: str, iterations: int = 1) -> Finished:
    return project.loop(
        "--agent-command", actor, "--focus", PASSED, "--iterations", str(iterations), "--sandbox", "off"
    )


@pytest.mark.parametrize(
    "deed",
    [
        'os.unlink(work / ".git")',
        'os.unlink(work.parents[1] / "verify" / ".git") if (work.parents[1] / "verify").exists() else None',
        pytest.param('subprocess.run(["git", "branch", "-D", "loop/run-1"], cwd=work)', marks=pytest.mark.slow),
        pytest.param('subprocess.run(["git", "checkout", "-q", "-b", "elsewhere"], cwd=work)', marks=pytest.mark.slow),
        'subprocess.run(["git", "symbolic-ref", "refs/heads/loop/run-1", "refs/heads/main"], cwd=work)',
        '(work / "sub").mkdir(); subprocess.run(["git", "init", "-q"], cwd=work / "sub"); write("sub/a.txt", "a")',
        'pathlib.Path(subprocess.run(["git", "rev-parse", "--absolute-git-dir"], cwd=work, capture_output=True,'
        ' text=True).stdout.strip(), "index.lock").touch()',
        'write("name\\n with ünd: (literal)*.txt", "x")',
    ],
)
def test_work_goes_on_and_the_users_files_stay_whatever_an_agent_does_to_its_checkout(
    make_project: Make, make_actor: Actor, deed: str
) -> None:
    project = make_project("good")
    project.write("calc.py", "# mine, uncommitted\n")
    project.write("mine.txt", "staged\n")
    project.git("add", "mine.txt")
    status, index = project.git("status", "--porcelain"), (project.root / ".git/index").read_bytes()
    done = play(project, make_actor(f"def ralph():\n    right()\n    {deed}\n    say('Done.')\n"))
    assert done.focus(PASSED)["verified"] == ["A1"], done.said
    assert project.git("status", "--porcelain") == status
    assert (project.root / ".git/index").read_bytes() == index
    assert (project.root / "calc.py").read_text() == "# mine, uncommitted\n"
    assert project.git("rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert project.git("rev-list", "--count", "main..loop/run-1") == "2"


FAKE_HOOK = """import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    got = yield
    got.get_result().outcome = "passed"
"""


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("conftest.py", FAKE_HOOK),
        pytest.param(
            f"{FIX}/acceptance/calc.py",
            "def mean(values):\n    return sum(values) / len(values)\n",
            marks=pytest.mark.slow,
        ),
        pytest.param(f"{FIX}/acceptance/conftest.py", FAKE_HOOK, marks=pytest.mark.slow),
        pytest.param("pytest.py", "import sys\n\nprint('2 passed')\nsys.exit(0)\n", marks=pytest.mark.slow),
        pytest.param("sitecustomize.py", "import os\n\nos._exit(0)\n", marks=pytest.mark.slow),
        pytest.param("orchestrator_probe.py", "def pytest_addoption(parser): pass\n", marks=pytest.mark.slow),
        pytest.param("json.py", "def loads(text): return {}\n", marks=pytest.mark.slow),
        pytest.param("pytest.ini", "[pytest]\naddopts = --collect-only\n", marks=pytest.mark.slow),
    ],
)
def test_files_that_steer_the_runner_verify_nothing_in_two_turns(
    make_project: Make, make_actor: Actor, path: str, text: str
) -> None:
    project = make_project("good")
    done = play(project, make_actor(f"def ralph():\n    write({path!r}, {text!r})\n    say('Done.')\n"), iterations=2)
    assert done.focus(PASSED)["verified"] == [], done.said
    assert done.focus(PASSED)["iterations"] == 2, done.said


@pytest.mark.parametrize(
    ("deed", "dwell"),
    [
        ("for _ in range(1500): os.mkdir('folder'); os.chdir('folder')", 0),
        ("write('.GIT/config', '')", 1),
        ("write('.gitattributes', '*.txt working-tree-encoding=UTF-16'); write('a.txt', 'abc')", 1),
    ],
    ids=["deep", "forbidden name", "encoding"],
)
def test_nothing_an_agent_leaves_in_its_checkout_ends_the_loop(
    make_project: Make, make_actor: Actor, deed: str, dwell: int
) -> None:
    project = make_project("good")
    done = play(project, make_actor(f"def ralph():\n    right()\n    say('Done.')\n    os.chdir(work)\n    {deed}\n"))
    assert done.code == 13, done.said
    assert done.focus(PASSED)["dwell"] == dwell, done.said
    assert done.focus(PASSED)["verified"] == ([] if dwell else ["A1"]), done.said
    assert {path.name for path in project.work.iterdir()} >= {"calc.py", "docs", "plans"}
    assert not (project.work / "folder").exists()


def test_a_removed_checkout_is_put_back(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    done = play(project, make_actor("import shutil\ndef ralph():\n    shutil.rmtree(work)\n"))
    assert done.code == 13, done.said
    assert (project.work / "docs/fix_plan.md").exists()
    assert (project.root / "calc.py").exists()


def test_code_in_the_agents_checkout_is_not_what_counts(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    project.write(".gitignore", "hidden/\n")
    project.commit()
    actor = make_actor(
        """
def ralph():
    write("hidden/really.py", "def mean(values):\\n    return sum(values) / len(values)\\n")
    write("calc.py", f"import sys\\nsys.path.insert(0, {str(work / 'hidden')!r})\\nfrom really import mean\\n")
    say("Done.")
"""
    )
    done = play(project, actor)
    assert done.focus(PASSED)["verified"] == []
    assert "not imported from the checkout: really from" in done.said


def test_a_ledger_that_is_a_link_to_a_users_file_does_not_reach_it(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    note = project.root / "note.txt"
    note.write_text("my own words\n")
    actor = make_actor(
        f"""
def galph():
    supervise(facts, work)
    os.unlink(work / "docs/fix_plan.md")
    os.symlink({str(note)!r}, work / "docs/fix_plan.md")
"""
    )
    done = play(project, actor)
    assert note.read_text() == "my own words\n"
    assert "docs/fix_plan.md: was put back (a link where a document should be)" in done.said
    assert "[FENCE-LINK]" in done.said
    assert done.focus(PASSED)["verified"] == ["A1"], done.said


def test_the_acceptance_test_cannot_be_weakened_by_the_supervisor_before_work_starts(
    make_project: Make, make_actor: Actor
) -> None:
    project = make_project("good")
    actor = make_actor(
        f"""
def galph():
    write("{FIX}/acceptance/test_mean.py", "def test_nothing():\\n    assert True\\n")
    supervise(facts, work)

def ralph():
    say("Nothing was needed.")
"""
    )
    done = play(project, actor)
    assert done.focus(PASSED)["verified"] == []
    assert "acceptance/test_mean.py: was put back (frozen" in done.said


def test_odd_output_of_a_row_is_a_failed_row_and_not_a_crash(make_project: Make) -> None:
    project = make_project("good")
    project.write(
        "report.py",
        "import json, os, sys\nname = os.fsencode(sys.argv[1]) + b'/caf\\xe9.txt'\nopen(name, 'w').write('x')\n"
        "open(sys.argv[1] + '/report.json', 'w').write('[' * 100000)\n",
    )
    ledger = (project.root / "docs/fix_plan.md").read_text()
    project.write("docs/fix_plan.md", ledger.replace("Depends on: MEAN-FIX-001", "Depends on: None"))
    project.commit()
    done = project.loop("--focus", "MEAN-REPORT-001", "--iterations", "1")
    assert done.code == 13, done.said
    assert "does not hold: report.json:mean == 3 (found not readable as JSON)" in done.said


def test_what_a_supervisor_broke_in_the_ledger_is_sent_back(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    item = "### [NEW-A-001] new\\\\n- Depends on: NEW-A-001\\\\n- Priority: High\\\\n- Status: pending\\\\n"
    actor = make_actor(
        f"""
def galph():
    supervise(facts, work)
    if not facts["refusals"]:
        text = (work / "docs/fix_plan.md").read_text()
        write("docs/fix_plan.md", text + chr(10) + "{item}".replace(chr(92) + "n", chr(10)))
"""
    )
    done = play(project, actor)
    assert "[LEDGER-CIRCLE]" in done.said, done.said
    assert done.focus(PASSED)["verified"] == ["A1"], done.said


def test_a_command_given_inside_the_runs_own_worktree_means_the_repository_around_it(make_project: Make) -> None:
    project = make_project("good")
    project.loop("--iterations", "1")
    inside = Project(project.root / ".orchestrator" / "runs" / "run-1")
    assert "run-1 on loop/run-1, 2 turns" in inside.command("orchestrator", "status").stdout
    assert "no loop is running" in inside.command("orchestrator", "stop").stdout
    assert not (inside.root / ".orchestrator").exists()


@pytest.mark.parametrize(
    "deed",
    [
        'os.symlink(work.parents[2], work / "link")',
        "import shutil; shutil.rmtree(work); os.symlink(work.parents[2], work)",
        'import shutil; v = work.parents[1] / "verify"; shutil.rmtree(v); os.symlink(work.parents[2], v)',
    ],
)
def test_a_link_to_the_users_repository_is_never_followed(make_project: Make, make_actor: Actor, deed: str) -> None:
    project = make_project("good")
    project.write("calc.py", "# mine, uncommitted\n")
    project.write("mine.txt", "untracked\n")
    status, index = project.git("status", "--porcelain"), (project.root / ".git/index").read_bytes()
    play(project, make_actor(f"def ralph():\n    right()\n    {deed}\n"))
    assert (project.root / ".git/HEAD").exists()
    assert project.git("status", "--porcelain") == status
    assert (project.root / ".git/index").read_bytes() == index
    assert (project.root / "mine.txt").read_text() == "untracked\n"
    assert (project.root / "calc.py").read_text() == "# mine, uncommitted\n"
