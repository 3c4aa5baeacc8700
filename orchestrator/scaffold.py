"""What `init` puts into a repository: settings, a ledger with a first item, its plan, and the empty documents."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from string import Template

from orchestrator.config import FILE_NAME, SETTINGS
from orchestrator.errors import ConfigError, WorkspaceError
from orchestrator.layout import FINDINGS, HANDOFF, LEDGER, MEMORY
from orchestrator.policy.fences import matches
from orchestrator.records.ledger import Item, Kind, Priority, parse_ledger, render_item
from orchestrator.records.rows import Row, wrong_command

__all__ = ["PLAN", "check_place", "first_row", "make_files", "settings_text"]

_ID = "FIRST-CHECK-001"
_TITLE = "What is here passes its own check on a clean checkout"
PLAN = f"plans/active/{_ID}/implementation.md"
_TEST_FILES = ("**/test_*.py", "**/*_test.py")
_FILES_NAMED = 8
_MOVED = "docs/fix_plan_before.md"


def _starter(name: str, **values: str) -> str:
    text = (Path(__file__).resolve().parent / "starter" / name).read_text(encoding="utf-8")
    return Template(text).substitute(values) if values else text


def settings_text() -> str:
    """Return `orchestration.yaml` with every setting there is, each with its meaning and default, none of them set."""
    lines = []
    for setting in SETTINGS:
        default = json.dumps(setting.default) if setting.default else ""
        lines += ["", f"# {setting.purpose} (default: {default or 'none'})", f"#{setting.key}: {default}".rstrip()]
    return _starter(FILE_NAME) + "\n".join([*lines, ""])


def first_row(paths: Collection[str], check: str) -> Row:
    """Return the first row of the first plan: what a person says proves the repository right, else its tests.

    Raises
    ------
    ConfigError
        The command cannot be written into a row.
    """
    if check:
        expected, found = wrong_command("--check", check)
        if expected:
            raise ConfigError(f"--check: expected {expected}, found {found}")
        if not check.split() or {"\n", "`"} & set(check):
            raise ConfigError(f"--check {check!r}: expected a command on one line, without back-ticks")
        return Row("A1", "A", "the check ends with exit code 0", run=check)
    own = (path for path in paths if not path.startswith("plans/"))
    tests = sorted(path for path in own if any(matches(path, pattern) for pattern in _TEST_FILES))
    if len(tests) > _FILES_NAMED:
        tests = sorted({PurePosixPath(path).parts[0] if "/" in path else path for path in tests})
    if tests:
        return Row("A1", "A", "the tests that are here pass", test=f"pytest {shlex.join(tests)}")
    return Row("A1", "A", "write a command below this line (`Run:` or `Test:`, see above) that tells right from wrong")


def make_files(row: Row) -> dict[str, str]:
    """Return everything a workspace starts with, by path."""
    item = Item(_ID, _TITLE, priority=Priority.HIGH, kind=Kind.STUDY, working_plan=PLAN)
    commands = {"Run": row.run, "Test": row.test}
    lines = [f"- [ ] {row.id}: {row.text}", *(f"  - {key}: `{text}`" for key, text in commands.items() if text)]
    return {
        FILE_NAME: settings_text(),
        LEDGER: _starter("fix_plan.md") + "\n" + render_item(item),
        PLAN: _starter("implementation.md", id=_ID, title=_TITLE, row="\n".join(lines)),
        FINDINGS: _starter("findings.md"),
        MEMORY: _starter("galph_memory.md"),
        HANDOFF: _starter("input.md"),
    }


def check_place(root: Path, paths: Collection[str]) -> None:
    """Check that every path can be made below `root`, and that a ledger which is there is one of ours.

    Raises
    ------
    WorkspaceError
        A file or a link stands where a folder is needed, or `docs/fix_plan.md` has another form.
    """
    for folder in (folder for path in paths for folder in (root / path).parents if folder.is_relative_to(root)):
        if folder.exists() and not (folder.is_dir() and folder == folder.resolve()):
            raise WorkspaceError(f"{folder}: expected a folder, came a file or a link; move it away")
    ledger = root / LEDGER
    if ledger.exists():
        found = parse_ledger(ledger.read_text(encoding="utf-8", errors="replace"), LEDGER)
        if found.problems or not found.items:
            what = found.problems[0] if found.problems else f"{LEDGER}: expected items '### [ID] Title', found none"
            raise WorkspaceError(
                f"{what}; correct it, or if another tool wrote it: git mv {LEDGER} {_MOVED}, then "
                f"python -m orchestrator init . --from-ledger {_MOVED}"
            )
