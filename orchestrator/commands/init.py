"""`init`: make a git repository a workspace of the loop; creates files, changes none."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.config import resolve_config
from orchestrator.errors import ConfigError
from orchestrator.layout import LEDGER, plan_path
from orchestrator.records.foreign.importing import Imported, import_ledger
from orchestrator.records.ledger import Priority, Status, parse_ledger
from orchestrator.records.text import counted
from orchestrator.scaffold import PLAN, check_place, first_row, make_files
from orchestrator.workspace import Workspace, find_workspace

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a git repository with at least one commit")
    parser.add_argument("--check", default="", metavar="COMMAND", help="what proves that the repository is right")
    parser.add_argument("--from-ledger", type=Path, metavar="FILE", help="take over the items of another tool's ledger")
    parser.add_argument("--dry-run", action="store_true", help="list what would be made, and change nothing")
    parser.add_argument("--json", action="store_true", help="machine-readable result on stdout")


def _import(source: Path, root: Path) -> Imported:
    """Return the items of a foreign ledger in our form, and what has to be said about them."""
    if (root / LEDGER).exists():
        raise ConfigError(f"{LEDGER} is there: move it away first (git mv), then give its new place to --from-ledger")
    try:
        imported = import_ledger(source.read_text(encoding="utf-8", errors="replace"), str(source))
    except OSError as error:
        raise ConfigError(f"--from-ledger {source}: {error.strerror}; give the ledger's file") from error
    if not parse_ledger(imported.text).items:
        raise ConfigError(f"--from-ledger {source}: no item was found in it; give the file that lists them")
    return imported


def _told(source: Path, workspace: Workspace, imported: Imported) -> tuple[list[str], list[str]]:
    """Return what else is to be committed, the foreign ledger itself, and a summary of what was taken over."""
    root, level = workspace.root, resolve_config(workspace.root, {}).priority
    items = parse_ledger(imported.text).items
    standing = [item for item in items if item.status not in {Status.DONE, Status.ARCHIVED}]
    without = sum(not (root / plan_path(item)).is_file() for item in standing)
    below = sum(item.priority < Priority[level.upper()] for item in standing)
    notes = [
        f"{counted(len(items), 'item')} taken over from {source}, {len(standing)} not done yet: {without} without a "
        f"plan, {below} of a priority below {level}, where the loop begins; give those you mean a plan and a priority"
    ]
    place = source.resolve()
    moved = place.relative_to(root).as_posix() if place.is_relative_to(root) else ""
    if not moved or workspace.git.entry("HEAD", moved):
        return [], notes
    return [moved], [*notes, f"{moved} belongs into the same commit: the new ledger names its lines"]


def _next(workspace: Workspace, made: Sequence[str]) -> list[str]:
    """Return the commands that come next: a commit of exactly what was made, and the loop."""
    place = "" if workspace.root == Path.cwd() else f"cd {shlex.quote(str(workspace.root))} && "
    loop = f"{place}python -m orchestrator.loop"
    if not made:
        return [loop]
    ignored = workspace.git.run("check-ignore", "-z", "--stdin", stdin="\0".join(made).encode(), ok=(0, 1))
    paths, force = shlex.join(made), "-f " if ignored else ""
    return [f"{place}git add {force}-- {paths}", f"{place}git commit -m 'Workspace of the loop' -- {paths}", loop]


def run(arguments: argparse.Namespace) -> int:
    """Make what is missing and say what was made, what was left, and what comes next."""
    workspace = find_workspace(arguments.folder)
    root = workspace.root
    row = first_row(workspace.git.ls_tree("HEAD"), arguments.check)
    missing = f"no tests found: before the first item can run, write a command into {PLAN}"
    notes: Sequence[str] = [f"the first item runs: {row.run or row.test}" if row.run or row.test else missing]
    files = make_files(row)
    moved: Sequence[str] = ()
    if arguments.from_ledger:
        imported = _import(arguments.from_ledger, root)
        moved, told = _told(arguments.from_ledger, workspace, imported)
        files, notes = {**files, LEDGER: imported.text}, [*imported.notes, *told]
    check_place(root, files)
    if arguments.from_ledger or (root / LEDGER).exists():
        del files[PLAN]  # the ledger has items of its own
    made = [path for path in files if not os.path.lexists(root / path)]
    for path in () if arguments.dry_run else made:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        with (root / path).open("x", encoding="utf-8") as stream:
            stream.write(files[path])
    notes = notes if LEDGER in made else ()
    left, commands = [path for path in files if path not in made], _next(workspace, [*made, *moved] if made else ())
    if arguments.json:
        result = {"root": str(root), "made": made, "left": left, "notes": notes, "next": commands}
        sys.stdout.write(json.dumps(result, indent=1) + "\n")
        return 0
    lines = [f"  {'would make' if arguments.dry_run else 'made'} {path}" for path in made]
    lines += [f"  left {path}, which was there" for path in left]
    lines = [f"workspace of the loop: {root}", *lines, *notes, "next:", *(f"  {command}" for command in commands)]
    sys.stdout.write("\n".join([*lines, ""]))
    return 0
