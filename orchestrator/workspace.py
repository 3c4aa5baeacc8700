"""The repository a loop works on: `.orchestrator/`, the run's branch and worktree, trees and commits.

The user's own checkout is only read. Everything the loop writes lies in `.orchestrator/`, which is ignored through
`.git/info/exclude`, and on branches `loop/<run>`.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from orchestrator.clearing import make_hold
from orchestrator.errors import GitError, WorkspaceError
from orchestrator.evidence.store import ArtifactStore
from orchestrator.git import Git
from orchestrator.state import RunInfo

__all__ = [
    "RunWorktree",
    "Workspace",
    "elsewhere",
    "find_entry",
    "find_workspace",
    "linked_git",
    "open_run_worktree",
    "plan_run",
    "run_folder",
]

_HOME = ".orchestrator"
_LEAST_ROOM = 1_000_000


@dataclass(frozen=True)
class Workspace:
    """A repository with the place where its loop keeps things."""

    root: Path
    git: Git

    @property
    def home(self) -> Path:
        """The loop's own folder."""
        return self.root / _HOME

    @property
    def journal_path(self) -> Path:
        """The journal, which is the truth about every run here."""
        return self.home / "journal.jsonl"

    @property
    def lock_path(self) -> Path:
        """One lock for the repository, whatever worktree the loop is started in."""
        return self.git.common_dir() / "orchestrator.lock"

    @property
    def store(self) -> ArtifactStore:
        """Artifacts too large for a hub, and everything a row wrote."""
        return ArtifactStore(self.home / "artifacts")

    def make_home(self) -> None:
        """Make `.orchestrator/` and have git ignore it without touching any tracked file."""
        self.home.mkdir(exist_ok=True)
        exclude = self.git.common_dir() / "info" / "exclude"
        exclude.parent.mkdir(exist_ok=True)
        known = exclude.read_bytes() if exclude.exists() else b""
        if f"/{_HOME}/".encode() not in known.splitlines():
            with exclude.open("ab") as file:  # appended, so that a kill or a full disk takes nothing of the user's
                file.write(f"/{_HOME}/\n".encode() if known.endswith(b"\n") or not known else f"\n/{_HOME}/\n".encode())

    def check_room(self) -> None:
        """Check that the disk is not full, in which case nothing that fails or is missing means anything.

        Raises
        ------
        WorkspaceError
            Less than a megabyte is free.
        """
        free = shutil.disk_usage(self.root).free
        if free < _LEAST_ROOM:
            full = os.strerror(errno.ENOSPC)
            raise WorkspaceError(f"{self.home}: {full}: expected {_LEAST_ROOM} bytes of room, came {free}")

    def uncommitted(self) -> int:
        """How many paths of the user's checkout differ from its last commit; such changes are not in a run."""
        entries = self.git.run("status", "--porcelain", "-z", "--no-renames").split(b"\0")
        return sum(bool(entry) for entry in entries)


def find_workspace(start: Path) -> Workspace:
    """Return the repository around `start`.

    Raises
    ------
    WorkspaceError
        There is none, it is bare, or it has no commit yet.
    """
    if not start.is_dir():
        raise WorkspaceError(f"{start}: no such folder; give the root of a git repository")
    try:
        root = Path(Git(start).text("rev-parse", "--show-toplevel"))
    except GitError as error:
        raise WorkspaceError(
            f"{start}: not inside a git checkout; run `git init` there, clone it if it is bare, or name another folder"
        ) from error
    if _HOME in root.parts:  # called from inside a run's worktree: the repository is the one around it
        root = Path(*root.parts[: root.parts.index(_HOME)])
    if os.pathsep in str(root):
        raise WorkspaceError(f"{root}: a path with {os.pathsep!r} cannot stand in PYTHONPATH; move the repository")
    git = Git(root)
    if git.rev("HEAD") is None:
        raise WorkspaceError(
            f"{root}: no commit yet; commit what the loop should start from, "
            "an empty commit if need be: git commit --allow-empty -m start"
        )
    return Workspace(root, git)


@dataclass(frozen=True)
class RunWorktree:
    """The worktree of a run: the agents' place of work, always on the run's branch."""

    root: Path
    git: Git
    branch: str

    def text(self, tree: str, path: str) -> str:
        """Return a document of a tree, empty when it is not there; damaged bytes become U+FFFD."""
        return self.git.document(tree, path)

    @property
    def ref(self) -> str:
        """Full name of the branch."""
        return f"refs/heads/{self.branch}"

    def head(self) -> str:
        """Commit the branch is at."""
        commit = self.git.rev(self.ref)
        if commit is None:
            raise WorkspaceError(f"branch {self.branch} is gone; start anew with --fresh")
        return commit

    def write_tree(self) -> str:
        """Return the worktree's content as a tree; ignored files are left out."""
        return self.git.tree_of_worktree(self.root)

    def take_over(self, base: str, turn: str) -> tuple[str, ...]:
        """Make the worktree the harness's again after an agent worked in it.

        The branch goes back to `base`; commits the agent made stay under `refs/orchestrator/` and are returned. A
        missing `.git` is written again, a lock that a killed git left is removed, and repositories the agent made
        inside are taken as plain files.
        """
        if self.root.is_symlink():
            self.root.unlink()
        self.git.check_place()
        self.root.mkdir(parents=True, exist_ok=True)
        link = self.root / ".git"
        if link.is_symlink() or not link.is_file() or link.read_bytes() != self._link:
            shutil.rmtree(link, ignore_errors=True) if link.is_dir() and not link.is_symlink() else link.unlink(True)
            link.write_bytes(self._link)
        self.git.unlock()
        (self.git.common_dir() / f"{self.ref}.lock").unlink(missing_ok=True)  # nobody else moves this branch
        at = self.git.rev(self.ref)
        own = tuple({self.git.rev("HEAD") or base, at or base} - {base})
        for commit in own:
            self.git.run("update-ref", f"refs/orchestrator/{turn}/{commit[:12]}", commit)
        if at != base:
            self.git.run("update-ref", "--no-deref", self.ref, base)
        self.git.attach(self.ref)
        for folder, names, _ in os.walk(self.root):  # which does not follow links
            if ".git" in names and not Path(folder, ".git").is_symlink():
                shutil.rmtree(Path(folder, ".git"), ignore_errors=True)
        return own

    @property
    def _link(self) -> bytes:
        return b"gitdir: " + os.fsencode(str(self.git.git_dir)) + b"\n"

    def restore(self, tree: str) -> None:
        """Make the worktree hold `tree`; untracked files go, ignored ones stay."""
        make_hold(self.git, tree, ignored=False)

    def commit(self, tree: str, message: str, base: str, *merged: str) -> str:
        """Commit `tree` on top of `base` and show it; the branch moves only if it still is at `base`."""
        commit = self.git.commit_tree(tree, [base, *merged], message)
        self.git.update_ref(self.ref, commit, base)
        self.restore(commit)
        return commit


def find_entry(repository: Git, root: Path) -> Path | None:
    """Return the git directory of the linked worktree at `root`, whether or not the worktree is still there."""
    link = os.fsencode(root / ".git")
    entries = (repository.common_dir() / "worktrees").glob("*/gitdir")
    return next((entry.parent for entry in entries if entry.read_bytes().removesuffix(b"\n") == link), None)


def linked_git(repository: Git, root: Path, *arguments: str) -> Git:
    """Return git for the linked worktree at `root`, which is made with `worktree add` where it is missing.

    Its git directory is given to every call, so that git never looks for one around the worktree.
    """
    entry = find_entry(repository, root)
    if entry:
        half_made = entry / "locked"  # git's mark while it makes a worktree; a kill leaves it
        if root.is_dir() and not root.is_symlink() and not half_made.exists():
            return Git(root, git_dir=entry)
        half_made.unlink(missing_ok=True)
    if root.is_symlink():
        root.unlink()
    Git(root).check_place()
    if root.exists():
        shutil.rmtree(root)
    repository.run("worktree", "add", "-q", "--force", *arguments)
    return Git(root, git_dir=Path(Git(root).text("rev-parse", "--absolute-git-dir")))


def plan_run(workspace: Workspace, taken: tuple[str, ...]) -> RunInfo:
    """Name a new run from the commit the user is at; nothing is made yet."""
    number = len(taken) + 1
    names = set(
        workspace.git.text("for-each-ref", "--format=%(refname)", "refs/heads/loop", "refs/remotes").split("\n")
    )
    while any(name.endswith(f"/loop/run-{number}") for name in names):
        number += 1
    name = f"run-{number}"
    return RunInfo(name, f"loop/{name}", workspace.git.head(), run_folder(name))


def elsewhere(repository: Git, branch: str, root: Path) -> Path | None:
    """Return the worktree other than `root` that has a branch checked out, if it is still there."""
    for head in (repository.common_dir() / "worktrees").glob("*/HEAD"):
        if head.read_bytes() == f"ref: refs/heads/{branch}\n".encode():
            place = Path(os.fsdecode(head.with_name("gitdir").read_bytes().removesuffix(b"\n"))).parent
            if place != root and place.is_dir():
                return place
    return None


def run_folder(name: str) -> str:
    """Return where the worktree of a run lies, below the repository's root."""
    return f"{_HOME}/runs/{name}"


def open_run_worktree(workspace: Workspace, run: RunInfo, *, begun: bool) -> RunWorktree:
    """Return the worktree of a run, made where it is missing; `current` leads to it.

    Raises
    ------
    WorkspaceError
        The branch is gone although the run has begun.
    """
    root = workspace.root / run.worktree
    if workspace.git.rev(f"refs/heads/{run.branch}") is not None:
        git = linked_git(workspace.git, root, str(root), run.branch)
    elif begun:
        raise WorkspaceError(f"branch {run.branch} of {run.name} is gone; start anew with --fresh")
    else:
        git = linked_git(workspace.git, root, "-b", run.branch, str(root), run.base)
    link = workspace.home / "current"
    link.unlink(missing_ok=True)
    link.symlink_to(root.relative_to(workspace.home), target_is_directory=True)
    return RunWorktree(root, git, run.branch)
