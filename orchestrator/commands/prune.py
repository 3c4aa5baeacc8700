"""`prune`: free what no run needs any more, and say what it was; it may be killed anywhere and run again."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from orchestrator.arguments import add_workspace, open_workspace
from orchestrator.errors import ConfigError
from orchestrator.git import Git
from orchestrator.layout import MANIFEST
from orchestrator.lock import hold_lock
from orchestrator.records.text import counted
from orchestrator.report.status import read_state
from orchestrator.workspace import Workspace, find_entry, run_folder

__all__ = ["add_arguments", "run"]

_NEW_BLOB = re.compile(rb"^:\S+ \S+ \S+ ([0-9a-f]+) ", re.MULTILINE)
_SHA256 = re.compile(rb"[0-9a-f]{64}")
_GIT_TIMEOUT_S = 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_workspace(parser)
    parser.add_argument("--keep-runs", type=int, default=3, metavar="N", help="runs left alone (default: the last 3)")
    parser.add_argument("--dry-run", action="store_true", help="list what would be freed, and change nothing")


def _named_artifacts(git: Git) -> set[str]:
    """Hashes that stand in a manifest, as any commit of any branch or tag has it."""
    log = ("log", "--all", "--full-history", "-m", "--root", "--raw", "--no-abbrev", "--no-renames", "--format=")
    blobs = set(_NEW_BLOB.findall(git.run(*log, "--", f":(glob)plans/**/{MANIFEST}")))
    found = git.run("cat-file", "--batch", stdin=b"\n".join([*blobs, b""]))
    return {name.decode() for name in _SHA256.findall(found)}


def _of_run(workspace: Workspace, run: str) -> Iterator[Path]:
    """Folders of a run, git's entry of its worktree last; a worktree that holds uncommitted work is not among them."""
    folder = workspace.root / run_folder(run)
    entry = find_entry(workspace.git, folder)
    yield workspace.home / "turns" / run
    if entry and folder.is_dir() and Git(folder, git_dir=entry).run("status", "--porcelain"):
        sys.stderr.write(f"left {folder}: it holds changes that are not committed; look at them, then remove it\n")
        return
    outside = ("rev-list", "-1", "HEAD", "--not", "--branches", "--tags", "--remotes")
    if entry and folder.is_dir() and Git(folder, git_dir=entry).run(*outside):
        sys.stderr.write(f"left {folder}: its HEAD holds commits that no branch has; name them, then prune again\n")
        return
    yield folder
    if entry:
        yield entry


def _size(path: Path) -> int:
    return sum(found.lstat().st_size for found in (path, *path.rglob("*")) if not found.is_dir())


def _free(path: Path, trash: Path) -> None:
    """Delete a file, or a folder by way of the trash: one that is half deleted must not look like work."""
    if path.is_dir() and not path.is_symlink() and path != trash:
        trash.mkdir(exist_ok=True)
        path = Path(shutil.move(path, tempfile.mkdtemp(dir=trash)))
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def run(arguments: argparse.Namespace) -> int:
    """Free, or list, what old runs left; branches stay, and so does every artifact that a manifest names."""
    if arguments.keep_runs < 1:
        raise ConfigError(f"--keep-runs {arguments.keep_runs}: the run that goes on is always kept; give 1 or more")
    workspace = open_workspace(arguments)
    git, trash = replace(workspace.git, timeout_s=_GIT_TIMEOUT_S), workspace.home / "pruned"
    with hold_lock(workspace.lock_path, holder={"pid": os.getpid(), "command": "prune"}):
        old = read_state(workspace).runs[: -arguments.keep_runs]
        named = _named_artifacts(git)
        paths = [trash, *(path for name in old for path in _of_run(workspace, name))]
        paths += [path for path in sorted(workspace.store.root.glob("*/*")) if path.name not in named]
        freed = [(path, _size(path)) for path in paths if os.path.lexists(path)]
        spaces = [f"refs/orchestrator/{name}/" for name in old]
        refs = [ref for space in spaces for ref in git.text("for-each-ref", "--format=%(refname)", space).split()]
        for path, _ in () if arguments.dry_run else freed:
            _free(path, trash)
        if not arguments.dry_run:
            git.run("update-ref", "--stdin", stdin="".join(f"delete {ref}\n" for ref in refs).encode())
            shutil.rmtree(trash, ignore_errors=True)
    total, verb = sum(size for _, size in freed), "would free" if arguments.dry_run else "freed"
    if arguments.json:
        listed = [{"path": str(path), "bytes": size} for path, size in freed]
        sys.stdout.write(json.dumps({"paths": listed, "refs": refs, "bytes": total}, indent=1) + "\n")
        return 0
    lines = [*(f"{size:>12} B  {path}" for path, size in freed), *(f"{'ref':>14}  {ref}" for ref in refs)]
    sys.stdout.write("\n".join([*lines, f"{verb} {total / 1e6:.1f} MB in {counted(len(lines), 'place')}", ""]))
    return 0
