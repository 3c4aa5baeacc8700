"""Repositories in every kind of trouble: what the loop does in each is written down in docs/survival.md."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from . import tiny
from .conftest import HARNESS, Finished, Project
from .test_loop import wait_for

Make = Callable[[str], Project]


@pytest.fixture
def make_tiny(tmp_path: Path) -> Make:
    return lambda letters: tiny.make(tmp_path, letters)


def loop(project: Project, *arguments: str, where: Path | None = None) -> Finished:
    return Project(where or project.root).loop(*tiny.arguments(project), *arguments)


def let_the_agent_first(project: Project, deed: str) -> None:
    script = project.root.parent / "agent.sh"
    script.write_text(script.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\n{deed}\n", 1))


def a_conflict(project: Project, command: str) -> None:
    """Leave a merge or a rebase half done in the user's checkout."""
    project.git("stash", "-q", "-u")
    project.git("checkout", "-q", "-b", "side")
    project.write("mine.txt", "side\n")
    project.commit()
    project.git("checkout", "-q", "main")
    project.write("mine.txt", "main\n")
    project.commit()
    done = subprocess.run(["git", "-c", "user.name=u", "-c", "user.email=u@l", command, "side"], cwd=project.root)
    assert done.returncode == 1


TROUBLE = {
    "an index.lock": lambda project: (project.root / ".git/index.lock").touch(),
    "a merge": lambda project: a_conflict(project, "merge"),
    "a rebase": lambda project: a_conflict(project, "rebase"),
    "a detached head": lambda project: project.git("checkout", "-q", "--detach"),
    "a commit hook that refuses": lambda project: (project.root / ".git/hooks/pre-commit").write_text("exit 1"),
    "no input.md": lambda project: remove(project, "input.md"),
    "no memory": lambda project: remove(project, "galph_memory.md"),
    "a binary memory": lambda project: damage(project, "galph_memory.md"),
    "binary findings": lambda project: damage(project, "docs/findings.md"),
}


def remove(project: Project, path: str) -> None:
    project.git("stash", "-q", "-u")
    (project.root / path).unlink()
    project.commit()


def damage(project: Project, path: str) -> None:
    project.git("stash", "-q", "-u")
    project.write(path, "")
    (project.root / path).write_bytes(bytes(range(256)) * 20)
    project.commit()


@pytest.mark.parametrize(
    "trouble", [name if name == "a merge" else pytest.param(name, marks=pytest.mark.slow) for name in TROUBLE]
)
def test_trouble_in_the_users_checkout_stays_as_it_is_and_the_loop_works(make_tiny: Make, trouble: str) -> None:
    project = make_tiny("")
    TROUBLE[trouble](project)
    index = (project.root / ".git/index").read_bytes()
    before = project.git("status", "--branch")
    done = loop(project)
    assert done.code == 0, done.said
    assert done.focus("TINY-001")["verified"] == ["A1"]
    assert (project.root / ".git/index").read_bytes() == index
    assert project.git("status", "--branch") == before


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("docs/fix_plan.md", 2, "docs/fix_plan.md:1: expected a newline at the end of the file"),
        ("plans/active/TINY-001/implementation.md", 0, "TINY-001: pending"),
    ],
)
def test_damage_that_hides_what_is_to_be_done_is_named(make_tiny: Make, path: str, code: int, said: str) -> None:
    project = make_tiny("")
    (project.root / path).write_bytes(b"\0\xff\xfe binary")
    project.commit()
    done = loop(project)
    assert done.code == code, done.said
    assert said in done.said


@pytest.mark.slow
def test_locks_that_a_killed_git_left_in_the_runs_own_places_are_removed(make_tiny: Make) -> None:
    project = make_tiny("B")
    assert loop(project, "--iterations", "1").code == 13
    for place in ("worktrees/run-1/index", "worktrees/run-1/HEAD", "worktrees/verify/index", "refs/heads/loop/run-1"):
        (project.root / f".git/{place}.lock").touch()
    assert loop(project).code == 0


@pytest.mark.parametrize("stage", ["no files yet", pytest.param("no folder yet", marks=pytest.mark.slow)])
def test_a_worktree_that_git_had_only_half_made_is_made_again(make_tiny: Make, stage: str) -> None:
    project = make_tiny("B")
    assert loop(project, "--iterations", "1").code == 13
    root = project.root / ".orchestrator/runs/run-1"
    (project.root / ".git/worktrees/run-1/locked").write_text("initializing\n")
    (project.root / ".git/worktrees/run-1/index").unlink()
    link = (root / ".git").read_bytes()
    shutil.rmtree(root)
    if stage == "no files yet":
        root.mkdir()
        (root / ".git").write_bytes(link)
    done = loop(project)
    assert done.code == 0, done.said
    assert not list((project.root / ".orchestrator/turns/run-1").glob("*/*.patch"))


@pytest.mark.slow
def test_an_edit_between_two_starts_is_kept_as_a_patch_and_not_taken_for_an_agents(make_tiny: Make) -> None:
    project = make_tiny("B")
    assert loop(project, "--iterations", "1").code == 13
    (project.root / ".orchestrator/current/mine.txt").write_text("edited by hand\n")
    assert loop(project).code == 0
    assert project.git("show", "loop/run-1:mine.txt") == "committed"
    patch = project.root / ".orchestrator/turns/run-1/between-turns/abandoned.patch"
    assert "+edited by hand" in patch.read_text()


SLOW_GIT = """#!/bin/sh
case "$*" in *"update-ref --no-deref -m orchestrator"*) touch {marker}; sleep 1.5;; esac
exec {git} "$@"
"""


@pytest.mark.slow
def test_a_git_call_that_outlives_its_harness_changes_nothing_after_the_next_start(
    make_tiny: Make, tmp_path: Path
) -> None:
    project = make_tiny("")
    programs, marker = tmp_path / "bin", tmp_path / "reached"
    programs.mkdir()
    (programs / "git").write_text(SLOW_GIT.format(marker=marker, git=shutil.which("git")))
    (programs / "git").chmod(0o755)
    argv = [sys.executable, "-P", "-m", "orchestrator.loop", *tiny.arguments(project)]
    environment = project.environment | {"PATH": f"{programs}:{os.environ['PATH']}"}
    with subprocess.Popen(argv, cwd=project.root, env=environment, stderr=subprocess.DEVNULL) as running:
        wait_for(marker.exists)
        running.kill()
    done = loop(project, "--iterations", "1")
    assert done.code == 13, done.said
    head = project.git("rev-parse", "loop/run-1")
    time.sleep(1.6)
    assert project.git("rev-parse", "loop/run-1") == head
    turns = project.git("log", "--format=%(trailers:key=Turn-Id,valueonly)", "main..loop/run-1").split()
    assert turns == ["run-1/0003-ralph", "run-1/0002-galph"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text.replace(b"galph", b"GALPH", 1), ":3: expected a line that agrees with its checksum"),
        (lambda text: text + b'{"kind":"turn.committed"}\n', "expected a line that agrees with its checksum"),
    ],
    ids=["a changed line", "a line of somebody else's"],
)
def test_a_damaged_journal_stops_the_loop_with_its_line_and_goes_on_once_it_is_restored(
    make_tiny: Make, spoil: Callable[[bytes], bytes], said: str
) -> None:
    project = make_tiny("B")
    assert loop(project, "--iterations", "1").code == 13
    journal = project.root / ".orchestrator/journal.jsonl"
    good = journal.read_bytes()
    journal.write_bytes(spoil(good))
    done = loop(project)
    assert done.code == 1
    assert said in done.said
    assert "journal.jsonl.damaged-" in done.said
    journal.write_bytes(good)
    assert loop(project).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("rest", [None, b""], ids=["deleted", "emptied"])
def test_a_lost_journal_is_rebuilt_from_the_commits(make_tiny: Make, rest: bytes | None) -> None:
    project = make_tiny("B")
    assert loop(project, "--iterations", "2").code == 13
    journal = project.root / ".orchestrator/journal.jsonl"
    journal.unlink() if rest is None else journal.write_bytes(rest)
    done = loop(project)
    assert done.code == 0, done.said
    assert done.focus("TINY-001")["verified"] == ["A1", "B1"]
    assert done.focus("TINY-001")["iterations"] == 3


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("echo '{}' >> ../../journal.jsonl", "somebody else wrote to it"),
        pytest.param("rm ../../journal.jsonl", "somebody removed it", marks=pytest.mark.slow),
        ("rm -rf ../../../.orchestrator", "somebody removed it"),
        ("rm -rf ../../../.git", "not a git repository"),
        pytest.param("rm -rf ../../../.git/worktrees", "not a git repository", marks=pytest.mark.slow),
        pytest.param(
            "rm -rf .git; git init -q .; git add -A; git -c user.name=a -c user.email=a@b commit -qm mine",
            "",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "git -c user.name=a -c user.email=a@b commit -q --amend --allow-empty -m rewritten",
            "",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "rm -rf ../run-1; mkdir ../run-1; cd ../run-1; mkdir -p plans/active/TINY-001", "", marks=pytest.mark.slow
        ),
    ],
)
def test_an_agent_without_walls_that_goes_for_the_loops_own_files_ends_in_words_and_never_touches_the_users(
    make_tiny: Make, deed: str, said: str
) -> None:
    project = make_tiny("")
    let_the_agent_first(project, deed)
    done = loop(project, "--iterations", "2", "--sandbox", "off")
    assert done.code == (1 if said else done.code)
    assert done.code in {0, 1, 13, 14}, done.said
    assert said in done.said
    assert (project.root / "mine.txt").read_text() == "changed, not committed\n"
    assert (project.root / "tmp.txt").read_text() == "untracked\n"


def test_stamps_of_hubs_increase_although_the_last_one_lies_in_the_future(make_tiny: Make) -> None:
    project = make_tiny("")
    project.git("stash", "-q", "-u")
    future = "plans/active/TINY-001/reports/2093-01-01T000000Z"
    project.write(f"{future}/manifest.json", "{}")
    project.commit()
    assert loop(project).code == 0
    hubs = project.git("log", "--reverse", "--format=%(trailers:key=Hub,valueonly)", "main..loop/run-1").split()
    assert hubs == sorted(hubs)
    assert hubs[0] == f"{future[:-2]}1Z/"
    assert len(set(hubs)) == 2


NAMES = [
    "with space",
    "new\nline",
    "quo'te\"s",
    "ünïcode €",
    "-dash",
    "a;b$(c)*?[x]#",
    os.fsdecode(b"caf\xe9"),
    "t\tab",
]


@pytest.mark.parametrize("name", [NAMES[1], NAMES[6], *(pytest.param(n, marks=pytest.mark.slow) for n in NAMES[2:6])])
def test_any_name_of_the_workspace_and_of_its_files_works(make_tiny: Make, name: str) -> None:
    project = make_tiny("")
    strange = Project(project.root.parent / name)
    project.root.rename(strange.root)
    for odd in (*NAMES, ":(top)a", os.fsdecode(b"mod\xe9.py")):
        (strange.root / odd).write_text("x")
    strange.commit()
    let_the_agent_first(project, "rm -- -dash; echo y > 'quo'\\''te\"s'; echo z > \"$(printf 'n\\351w')\"")
    done = loop(project, where=strange.root)
    assert done.code == 0, done.said
    assert strange.git("status", "--porcelain") == ""
    changed = subprocess.run(
        ["git", "diff", "--name-only", "-z", "main", "loop/run-1"], cwd=strange.root, capture_output=True, check=True
    ).stdout.split(b"\0")
    assert {b"-dash", b"quo'te\"s", b"n\xe9w"} <= set(changed)


def test_a_repository_with_longer_ids_works(make_tiny: Make) -> None:
    project = make_tiny("")
    shutil.rmtree(project.root / ".git")
    done = subprocess.run(["git", "init", "-q", "-b", "main", "--object-format=sha256"], cwd=project.root)
    if done.returncode:
        pytest.skip("this git knows SHA-1 only")
    project.commit()
    let_the_agent_first(project, "rm -f mine.txt; echo x > .gitignore; mkdir -p docs; echo y > pytest.py")
    ended = loop(project)
    assert ended.code == 0, ended.said
    assert "pytest.py: was put back" in ended.said
    assert "[FENCE-SHADOW]" in ended.said
    assert len(project.git("rev-parse", "loop/run-1")) == 64


def test_submodules_stay_byte_for_byte_whatever_an_agent_leaves_in_their_empty_folders(
    make_tiny: Make, tmp_path: Path
) -> None:
    library = Project(tmp_path / "library")
    library.root.mkdir()
    library.git("init", "-q", "-b", "main")
    library.write("a.txt", "a")
    library.commit()
    project = make_tiny("")
    project.git("stash", "-q", "-u")
    project.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "sub")
    project.commit()
    let_the_agent_first(project, "echo lost > sub/inside.txt")
    done = loop(project)
    assert done.code == 0, done.said
    assert project.git("ls-tree", "loop/run-1", "sub") == project.git("ls-tree", "main", "sub")
    assert (project.root / "sub/a.txt").read_text() == "a"
    assert project.git("status", "--porcelain") == ""


@pytest.mark.slow
def test_a_bare_repository_is_refused_with_the_cure(make_tiny: Make) -> None:
    project = make_tiny("")
    bare = project.root.parent / "bare.git"
    project.git("clone", "-q", "--bare", ".", str(bare))
    done = loop(project, where=bare)
    assert done.code == 1
    assert "clone it if it is bare" in done.said


@pytest.mark.slow
def test_a_shallow_clone_works(make_tiny: Make) -> None:
    project = make_tiny("")
    shallow = project.root.parent / "shallow"
    project.git("clone", "-q", "--depth", "1", f"file://{project.root}", str(shallow))
    assert loop(project, where=shallow).code == 0


def test_two_loops_started_at_once_from_two_worktrees_are_one_loop(make_tiny: Make) -> None:
    project = make_tiny("")
    second = project.root.parent / "second"
    project.git("worktree", "add", "-q", "-b", "other", str(second))
    argv = [sys.executable, "-P", "-m", "orchestrator.loop", *tiny.arguments(project)]
    running = [
        subprocess.Popen(argv, cwd=place, env=project.environment, stderr=subprocess.PIPE, text=True)
        for place in (project.root, second)
    ]
    said = [process.communicate()[1] for process in running]
    codes = [process.returncode for process in running]
    assert sorted(codes) == [0, 75], said
    assert f"held by pid {running[codes.index(0)].pid}" in said[codes.index(75)]


@pytest.mark.slow
def test_a_person_commits_and_switches_branches_meanwhile(make_tiny: Make) -> None:
    project = make_tiny("BCD")
    argv = [sys.executable, "-P", "-m", "orchestrator.loop", *tiny.arguments(project)]
    start = project.git("rev-parse", "main")
    project.git("stash", "-q", "-u")
    done = 0
    with subprocess.Popen(argv, cwd=project.root, env=project.environment, stderr=subprocess.DEVNULL) as running:
        wait_for((project.root / ".orchestrator/turns").exists)
        while running.poll() is None:
            project.git("checkout", "-q", "-b", f"mine-{done}")
            project.write("mine.txt", f"{done}\n")
            project.commit(f"number {done}")
            done += 1
    assert running.returncode == 0
    assert done > 3
    assert project.git("rev-list", "--count", "main..HEAD") == str(done)
    assert project.git("merge-base", "HEAD", "loop/run-1") == start
    assert project.git("show", "loop/run-1:mine.txt") == "committed"


@pytest.mark.slow
def test_a_folder_that_may_only_be_read_ends_the_loop_with_path_and_cure(make_tiny: Make) -> None:
    project = make_tiny("")
    (project.root / ".git/info/exclude").unlink()
    without_rights = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    if without_rights and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv to take that right away")
    argv = [*without_rights, sys.executable, "-P", "-m", "orchestrator.loop", *tiny.arguments(project)]
    for folder, named in ((project.root, ".orchestrator"), (project.root / ".git/info", ".git/info/exclude")):
        folder.chmod(0o555)
        done = subprocess.run(argv, cwd=project.root, env=project.environment, capture_output=True, text=True)
        folder.chmod(0o755)
        assert done.returncode == 1, done.stderr
        assert f"Permission denied: '{project.root / named}'; give this user the right to write there" in done.stderr
    assert loop(project).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_agent_works_ends_agent_and_turn_and_charges_nobody(make_tiny: Make, number: int) -> None:
    project = make_tiny("")
    script = project.root.parent / "agent.sh"
    good = script.read_text()
    marker = project.root.parent / "working"
    let_the_agent_first(project, f"touch {marker}; sleep 60")
    argv = [sys.executable, "-P", "-m", "orchestrator.loop", *tiny.arguments(project)]
    with subprocess.Popen(argv, cwd=project.root, env=project.environment, stderr=subprocess.DEVNULL) as running:
        wait_for(marker.exists)
        running.send_signal(number)
    assert running.returncode == 130
    events = [json.loads(line) for line in (project.root / ".orchestrator/journal.jsonl").read_text().splitlines()]
    (undone,) = [event["data"] for event in events if event["kind"] == "turn.abandoned"]
    assert undone["interrupted"]
    script.write_text(good)
    assert loop(project).code == 0


@pytest.mark.slow
def test_a_terminal_that_is_closed_ends_the_loop_like_any_other_signal(make_tiny: Make) -> None:
    project = make_tiny("")
    let_the_agent_first(project, "sleep 1")
    argv = ["setsid", "--ctty", sys.executable, "-P", "-m", "orchestrator.loop", *tiny.arguments(project)]
    terminal, end = pty.openpty()
    running = subprocess.Popen(argv, cwd=project.root, env=project.environment, stdin=end, stdout=end, stderr=end)
    os.close(end)
    wait_for((project.root / ".orchestrator/turns/run-1/0001-galph/agent.log").exists)
    os.close(terminal)
    assert running.wait(20) == 130
    assert loop(project).code == 0


def test_a_bug_is_told_although_no_file_can_be_written() -> None:
    script = (
        "import resource, signal, sys\nfrom orchestrator.report.bug import guarded\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "sys.exit(guarded(lambda: 1 // 0))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=HARNESS, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 70
    assert "ZeroDivisionError" in done.stderr


def test_results_that_cannot_be_written_are_no_success(make_tiny: Make) -> None:
    project = make_tiny("")
    argv = [sys.executable, "-P", "-m", "orchestrator", "status", "--json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(argv, cwd=project.root, env=project.environment, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1, done.stderr
