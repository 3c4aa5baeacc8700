"""The reader that stays: the same answers as a git for each question, whatever happens meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import GitError
from orchestrator.git import Git, TreeEntry

from .conftest import HARNESS
from .test_loop import has_ended

HARMLESS = {"HOME": "/nonexistent", "PATH": os.defpath}
STRANGE = "a b/ünï\ncode\t\"'.txt"


@pytest.fixture
def plain(tmp_path: Path) -> Git:
    """A repository with files at three depths, one of them large."""
    root = tmp_path / "the repository"
    for path, content in {STRANGE: b"x", "a b/c/d.txt": b"\0\n" * 200_000, "top": b""}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    git = Git(root, env=HARMLESS)
    git.run("init", "-q", "-b", "main")
    git.run("add", "--all")
    git.update_ref("refs/heads/main", git.commit_tree(git.text("write-tree"), [], "first"), None)
    return git


@pytest.fixture
def git(plain: Git) -> Iterator[Git]:
    """The same with a reader that is kept."""
    with plain.keeping_reader() as git:
        yield git


def reader_of(git: Git) -> int:
    """Process id of the kept reader, started if it is not there."""
    assert git.kept is not None
    git.rev("HEAD")
    # Another test of this process may have left gits: dead ones, which have no command line, or some in other folders.
    query = ["pgrep", "-f", "-P", str(os.getpid()), "cat-file --batch"]
    found = subprocess.run(query, capture_output=True, text=True, check=True)
    (reader,) = (pid for pid in found.stdout.split() if Path(f"/proc/{pid}/cwd").resolve() == git.root.resolve())
    return int(reader)


def test_a_kept_reader_answers_as_a_git_for_each_question_does(plain: Git, git: Git) -> None:
    assert git.rev("HEAD") == plain.rev("HEAD") == plain.head()
    assert git.rev("refs/heads/none") is None
    listed = dict.fromkeys(plain.text("ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0")[:-1])
    assert set(git.ls_tree("HEAD")) == set(plain.ls_tree("HEAD")) == set(listed)
    assert set(git.ls_tree("HEAD", "a b/c/")) == {"a b/c/d.txt"}
    assert git.ls_tree("HEAD", "top") == {"top": TreeEntry("100644", git.text("rev-parse", "HEAD:top"))}
    assert git.ls_tree("HEAD", "none") == {}
    assert set(git.folder("HEAD")) == {"a b", "top"}
    assert git.entry("HEAD", "./a b//c/") == TreeEntry("040000", git.text("rev-parse", "HEAD:a b/c"))
    assert git.entry("HEAD", "top/below a file") is None
    assert git.blob("HEAD", "a b/c/d.txt") == b"\0\n" * 200_000
    with pytest.raises(GitError, match=r"cat-file .*: expected a tree, came nothing"):
        git.folder("no-such-commit")


def test_a_kept_reader_sees_what_was_written_and_moved_after_it_started(git: Git) -> None:
    first = git.rev("refs/heads/main")
    tree = git.tree_with("HEAD", {"later": b"later"})
    assert first
    second = git.commit_tree(tree, [first], "second")
    git.update_ref("refs/heads/main", second, first)
    assert git.rev("refs/heads/main") == second
    assert git.blob("HEAD", "later") == b"later"
    git.run("gc", "-q", "--prune=now")
    assert git.rev("refs/heads/main") == second
    assert git.blob("HEAD", "later") == b"later"


def test_a_reader_that_somebody_ended_is_replaced(git: Git) -> None:
    os.kill(reader_of(git), signal.SIGKILL)
    assert git.blob("HEAD", "top") == b""
    git.rest()
    assert git.blob("HEAD", "top") == b""


def test_a_repository_that_is_gone_is_an_error_that_names_git(git: Git) -> None:
    reader_of(git)
    (git.root / ".git").rename(git.root / "gone")
    with pytest.raises(GitError, match="cat-file"):
        git.blob("HEAD", "top")
    git.rest()
    with pytest.raises(GitError, match="not a git repository"):
        git.blob("HEAD", "top")


def test_a_reader_that_does_not_answer_is_given_up(plain: Git) -> None:
    with replace(plain, timeout_s=0.3).keeping_reader() as git:
        os.kill(reader_of(git), signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(GitError, match=r"within 0\.3 s"):
            git.blob("HEAD", "top")
        assert time.monotonic() - began < 4


def test_a_reader_ends_with_the_program_that_kept_it(plain: Git) -> None:
    program = (
        "import pathlib, subprocess, sys, time\nfrom orchestrator.git import Git\n"
        "with Git(pathlib.Path(sys.argv[1])).keeping_reader() as git:\n    git.rev('HEAD')\n"
        "    print(git.kept._process.pid, flush=True)\n    time.sleep(60)\n"
    )
    argv = [sys.executable, "-c", program, str(plain.root)]
    with subprocess.Popen(argv, cwd=HARNESS, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout is not None
        reader = keeper.stdout.readline().strip()
        keeper.kill()
    deadline = time.monotonic() + 10
    while not has_ended(reader):
        assert time.monotonic() < deadline, "the reader outlived its program"
        time.sleep(0.01)
