"""Makes a checkout hold one tree, whatever an agent or a test has left in it."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from orchestrator.errors import GitError
from orchestrator.git import Git

__all__ = ["make_hold", "remove_all"]

_KEPT = ".git"


def make_hold(git: Git, tree: str, *, ignored: bool) -> None:
    """Make the checkout of `git` hold a tree: what is not in it goes, ignored files too where `ignored` says so.

    What git itself cannot remove, paths longer than the system takes or closed folders for one, takes everything
    else with it, and all of the tree is written anew.
    """
    git.show(tree)
    try:
        git.run("clean", "-ffdqx" if ignored else "-ffdq")
    except GitError:
        for path in list(git.root.iterdir()):
            if path.name != _KEPT:
                remove_all(path)
        git.show(tree)


def remove_all(path: Path) -> None:
    """Remove a file or a folder of any depth; what lies in a folder is brought up before it goes."""
    names = (path.with_name(f".removed-{number}") for number in count())
    left = [path]
    while left:
        folder = left.pop()
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink()
            continue
        folder.chmod(0o700)
        for inside in list(folder.iterdir()):
            place = next(name for name in names if not os.path.lexists(name))
            left.append(inside.rename(place))
        folder.rmdir()
