"""git in machine form, on real repositories with names that break naive parsers."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from orchestrator.errors import GitError
from orchestrator.git import Change, Git, TreeEntry

STRANGE = "a b/ünï\ncode\t\"'.txt"
NO_USER = {"HOME": "/nonexistent", "PATH": os.defpath}


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """A repository with one commit: three files, one of them executable, one with a strange name."""
    root = tmp_path / "the repository"
    (root / "a b").mkdir(parents=True)
    (root / STRANGE).write_bytes(b"strange\r\n")
    (root / "run.sh").write_bytes(b"#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / ".gitignore").write_bytes(b"*.log\n")
    git = Git(root, env=NO_USER)
    git.run("init", "-q", "-b", "main")
    git.run("-c", "user.name=A User", "-c", "user.email=user@example.org", "add", "--all")
    tree = git.text("write-tree")
    git.update_ref("refs/heads/main", git.commit_tree(tree, [], "first\n\nTurn-Id: T1\n"), None)
    return git


def write(git: Git, path: str, content: str) -> None:
    (git.root / path).parent.mkdir(parents=True, exist_ok=True)
    (git.root / path).write_text(content)


def test_a_command_that_fails_says_what_was_run_where_and_what_git_said(git: Git) -> None:
    with pytest.raises(
        GitError, match=r"git cat-file -p nope \(in .*\): expected exit code 0, came 128: fatal: .*nope"
    ):
        git.run("cat-file", "-p", "nope")
    assert git.run("cat-file", "-p", "nope", ok=(0, 128)) == b""


def test_a_missing_folder_or_git_is_a_git_error(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="cannot be started"):
        Git(tmp_path / "none").head()


def test_a_call_that_takes_too_long_is_ended_with_what_it_started(git: Git, tmp_path: Path) -> None:
    hurried = Git(git.root, timeout_s=1)
    with pytest.raises(GitError, match=r"expected an end within 1 s"):
        hurried.run("-c", f"alias.wait=!echo $$ > '{tmp_path}/pid'; sleep 60; true", "wait")
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while (
        subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False).stdout[:1] not in b"Z"
    ):
        assert time.monotonic() < deadline, "what git started is still there"
        time.sleep(0.01)


def test_variables_of_an_outer_git_do_not_leak_in(git: Git, tmp_path: Path) -> None:
    env = NO_USER | {"GIT_DIR": str(tmp_path / "elsewhere"), "GIT_INDEX_FILE": "/nonexistent/index"}
    assert Git(git.root, env=env).head() == git.head()


def test_hooks_and_signatures_of_the_user_are_not_run(git: Git) -> None:
    hook = git.root / ".git/hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    git.run("config", "commit.gpgsign", "true")
    git.run("config", "gpg.program", "false")
    commit = git.commit_tree("HEAD^{tree}", ["HEAD"], "second")
    git.update_ref("refs/heads/main", commit, git.head())
    assert git.head() == commit


def test_a_name_that_means_nothing_is_none(git: Git) -> None:
    assert git.rev("refs/heads/main") == git.head()
    assert git.rev("refs/heads/none") is None
    assert git.rev("--all") is None


def test_a_commit_bears_the_user_or_a_neutral_name(git: Git) -> None:
    tree = git.text("rev-parse", "HEAD^{tree}")
    fmt = ("log", "-1", "--format=%an <%ae> %cn <%ce>")
    assert git.text(*fmt, "HEAD") == "orchestrator <orchestrator@localhost> orchestrator <orchestrator@localhost>"
    git.run("config", "user.name", "Zoë Ü")
    git.run("config", "user.email", "z@example.org")
    assert git.text(*fmt, git.commit_tree(tree, [], "x")) == "Zoë Ü <z@example.org> Zoë Ü <z@example.org>"


def test_a_ref_moves_only_from_where_it_was_expected(git: Git) -> None:
    first = git.head()
    second = git.commit_tree("HEAD^{tree}", [first], "second")
    with pytest.raises(GitError, match="already exists"):
        git.update_ref("refs/heads/main", second, None)
    with pytest.raises(GitError, match="expected"):
        git.update_ref("refs/heads/main", first, second)
    git.update_ref("refs/heads/main", second, first)
    assert git.head() == second


def test_trees_are_listed_and_compared_with_every_kind_of_name(git: Git) -> None:
    entries = git.ls_tree("HEAD")
    assert set(entries) == {STRANGE, "run.sh", ".gitignore"}
    assert entries["run.sh"].mode == "100755"
    tree = git.tree_with("HEAD", {STRANGE: b"new", "b\udcff": entries["run.sh"], "run.sh": None})
    assert set(git.diff_tree("HEAD", tree)) == {Change("M", STRANGE), Change("A", "b\udcff"), Change("D", "run.sh")}
    assert git.diff_tree(tree, tree) == ()


def test_a_file_is_read_from_a_tree_and_a_missing_one_is_none(git: Git) -> None:
    assert git.blob("HEAD", STRANGE) == b"strange\r\n"
    assert git.blob("HEAD", "none") is None
    assert git.blob("HEAD", "*.sh") is None
    with pytest.raises(GitError, match="cat-file"):
        git.blob("HEAD", "a b")
    with pytest.raises(GitError, match="no-such-commit"):
        git.blob("no-such-commit", "run.sh")


def test_a_damaged_object_is_an_error_and_not_a_missing_file(git: Git) -> None:
    blob = git.ls_tree("HEAD")["run.sh"].blob
    (git.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(GitError, match="cat-file"):
        git.blob("HEAD", "run.sh")


def test_a_tree_is_composed_without_checkout_or_index(git: Git) -> None:
    git.run("config", "core.autocrlf", "true")
    before = (git.root / ".git/index").read_bytes()
    blob, target = (git.text("hash-object", "-w", "--stdin", stdin=content) for content in (b"stored\n", b"run.sh"))
    tree = git.tree_with(
        "HEAD",
        {
            "run.sh": b"#!/bin/bash\r\n",
            "new/deep": blob,
            STRANGE: None,
            "none": None,
            ".gitignore": None,
            ".gitignore/folder": b"a file gave way to a folder\n",
            "link": TreeEntry("120000", target),
        },
    )
    entries = git.ls_tree(tree)
    assert {path: entry.mode for path, entry in entries.items()} == {
        "run.sh": "100755",
        "new/deep": "100644",
        ".gitignore/folder": "100644",
        "link": "120000",
    }
    assert git.blob(tree, "run.sh") == b"#!/bin/bash\r\n"
    assert git.blob(tree, "new/deep") == b"stored\n"
    assert git.blob(git.tree_with(tree, {"link": b"a file now"}), "link") == b"a file now"
    assert git.ls_tree(git.tree_with(tree, {"link": b"a file now"}))["link"].mode == "100644"
    assert git.tree_with("HEAD", {}) == git.text("rev-parse", "HEAD^{tree}")
    assert (git.root / ".git/index").read_bytes() == before


def test_a_worktree_becomes_a_tree_and_ignored_files_stay_out(git: Git, tmp_path: Path) -> None:
    write(git, "new\nfile ü", "new")
    write(git, "x.log", "ignored")
    (git.root / "run.sh").unlink()
    write(git, STRANGE, "changed")
    before = (git.root / ".git/index").read_bytes()
    for index in (None, None, tmp_path / "an index", tmp_path / "an index"):
        tree = git.tree_of_worktree(git.root, index)
        assert set(git.diff_tree("HEAD", tree)) == {
            Change("A", "new\nfile ü"),
            Change("D", "run.sh"),
            Change("M", STRANGE),
        }
    assert (git.root / ".git/index").read_bytes() == before


def test_what_somebody_forced_into_the_index_or_hid_there_makes_no_difference(git: Git) -> None:
    write(git, "x.log", "ignored")
    git.run("add", "--force", "x.log")
    git.run("update-index", "--assume-unchanged", "run.sh")
    write(git, "run.sh", "changed behind git's back")
    assert git.diff_tree("HEAD", git.tree_of_worktree(git.root)) == (Change("M", "run.sh"),)


def test_an_ignored_file_that_is_tracked_counts(git: Git) -> None:
    tree = git.tree_with("HEAD", {"kept.log": b"tracked"})
    write(git, "kept.log", "tracked and changed")
    assert git.diff_tree(tree, git.tree_of_worktree(git.root, base=tree)) == (Change("M", "kept.log"),)


def test_a_linked_worktree_has_its_own_private_index(git: Git, tmp_path: Path) -> None:
    linked = tmp_path / "linked tree"
    git.run("worktree", "add", "-q", "-b", "loop/x", str(linked))
    (linked / "only here").write_text("x")
    assert git.diff_tree("HEAD", git.tree_of_worktree(linked)) == (Change("A", "only here"),)
    assert git.diff_tree("HEAD", git.tree_of_worktree(git.root)) == ()
    assert Git(linked).common_dir() == git.common_dir() == git.root / ".git"


def test_a_damaged_or_locked_private_index_is_made_anew(git: Git, tmp_path: Path) -> None:
    index = tmp_path / "index"
    tree = git.tree_of_worktree(git.root, index)
    index.write_bytes(b"DIRC damaged")
    (tmp_path / "index.lock").touch()
    assert git.tree_of_worktree(git.root, index) == tree


def test_a_worktree_outside_any_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="not a git repository"):
        Git(tmp_path).tree_of_worktree(tmp_path)


def test_trailers_are_read_from_a_commit(git: Git) -> None:
    first = git.head()
    body = "second: not a trailer\n\nBody: no trailer either\nbecause of this line.\n"
    message = f"{body}\nTurn-Id: T2\nHub: a b/ü: x\n  folded\n"
    second = git.commit_tree("HEAD^{tree}", [first], message)
    third = git.commit_tree("HEAD^{tree}", [second], "third")
    git.update_ref("refs/heads/main", third, first)
    git.run("config", "trailer.separators", "=")
    assert git.trailers(second) == {"Turn-Id": "T2", "Hub": "a b/ü: x folded"}
    assert git.trailers(third) == {}


def test_reading_leaves_no_lock_and_writes_nothing(git: Git) -> None:
    (git.root / "run.sh").touch()
    before = (git.root / ".git/index").read_bytes()
    git.run("status", "--porcelain", "-z")
    assert (git.root / ".git/index").read_bytes() == before


def test_the_neutral_environment_finds_git_without_reading_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    subprocess.run(
        ["git", "init", "-q", tmp_path], check=True, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    )
    assert Git(tmp_path).common_dir() == tmp_path / ".git"


def test_a_private_index_that_somebody_changed_is_not_believed(git: Git, tmp_path: Path) -> None:
    index = tmp_path / "index"
    tree = git.tree_of_worktree(git.root, index)
    assert tree == git.text("rev-parse", "HEAD^{tree}")
    git.run("update-index", "--assume-unchanged", "run.sh", env={"GIT_INDEX_FILE": str(index)})
    write(git, "run.sh", "changed behind git's back")
    assert git.diff_tree(tree, git.tree_of_worktree(git.root, index)) == (Change("M", "run.sh"),)
    (tmp_path / "theirs").write_text("a user's own")
    index.unlink()
    index.symlink_to(tmp_path / "theirs")
    assert git.diff_tree(tree, git.tree_of_worktree(git.root, index)) == (Change("M", "run.sh"),)
    assert (tmp_path / "theirs").read_text() == "a user's own"


def test_a_tree_composed_from_what_was_just_written_is_the_one_composed_from_anew(git: Git, tmp_path: Path) -> None:
    write(git, "new", "new")
    tree = git.tree_of_worktree(git.root, tmp_path / "index")
    changes = {"run.sh": b"other", STRANGE: None, "deep/er": b"x"}
    composed = git.tree_with(tree, changes)
    assert composed == Git(git.root, env=NO_USER).tree_with(tree, changes)
    assert git.tree_with(composed, {"run.sh": b"#!/bin/sh\n", "deep/er": None, STRANGE: b"strange\r\n"}) == tree


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
@pytest.mark.parametrize("known", [True, False])
def test_a_checkout_is_shown_as_its_tree_is_whatever_its_index_says(tmp_path: Path, flag: str, known: bool) -> None:
    root, linked = tmp_path / "repository", tmp_path / "linked"
    root.mkdir()
    user = ["-c", "user.name=u", "-c", "user.email=u@localhost"]
    (root / "a.txt").write_text("right\n")
    for command in (["init", "-q"], ["add", "-A"], [*user, "commit", "-qm", "start"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    subprocess.run(["git", "worktree", "add", "-q", "--detach", str(linked)], cwd=root, check=True)
    git = Git(linked, git_dir=root / ".git" / "worktrees" / "linked")
    if known:
        git.show("HEAD")
    subprocess.run(["git", "update-index", flag, "a.txt"], cwd=linked, check=True)
    (linked / "a.txt").write_text("wrong\n")
    (linked / "b.txt").write_text("new\n")
    git.show("HEAD")
    assert (linked / "a.txt").read_text() == "right\n"
    assert git.run("ls-files", "-v") == b"H a.txt\n"
