"""The verification worktree: kept between turns, and made to hold exactly one tree at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.clearing import make_hold
from orchestrator.git import Git

__all__ = ["Checkout", "first_party"]


@dataclass(frozen=True)
class Checkout:
    """A detached linked worktree in which evidence is produced."""

    root: Path
    git: Git

    def show(self, tree: str) -> None:
        """Make the folder hold `tree` and nothing else, ignored files and stale bytecode included."""
        make_hold(self.git, tree, ignored=True)

    def changed(self) -> tuple[str, ...]:
        """Return the files that no longer are as the tree has them: something wrote to them since."""
        out = self.git.run("diff", "--no-ext-diff", "--name-only", "-z")
        return tuple(out.decode("utf-8", "surrogateescape").split("\0")[:-1])

    def stamps(self, wanted: Callable[[str], bool]) -> dict[str, tuple[int, int]]:
        """Return what tells a changed file from one that stayed, by path; who puts a file back changes it too."""
        found = {}
        for folder, _, names in os.walk(self.root):
            for path in (Path(folder, name) for name in names):
                if wanted(inside := path.relative_to(self.root).as_posix()):
                    status = path.lstat()
                    found[inside] = (status.st_ino, status.st_ctime_ns)
        return found


def first_party(repository: Git, tree: str) -> tuple[str, ...]:
    """Names of the importable packages and modules at the root of a tree."""
    names = repository.folder(tree)
    packages = {name for name in names if repository.entry(tree, f"{name}/__init__.py")}
    modules = {name.removesuffix(".py") for name in names if name.endswith(".py")}
    return tuple(sorted(packages | modules))
