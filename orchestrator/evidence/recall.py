"""Results of rows that were run before: found again while nothing that decides them has changed."""

from __future__ import annotations

import hashlib
import json
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from orchestrator.evidence.criteria import lies_below
from orchestrator.evidence.store import ArtifactStore
from orchestrator.facts import ExpectResult, RowResult, RowVerdict, TestRun, TurnRecord
from orchestrator.git import Git
from orchestrator.layout import MEASURED, is_record
from orchestrator.records.plan import Row, parse_expectation

__all__ = ["Recall", "read_measured", "setting_of"]


def setting_of(row: Row, inputs: Mapping[str, Mapping[str, str]], environment: Mapping[str, str], start: str) -> str:
    """SHA-256 of everything outside of the tree that decides what a row's command writes.

    Parameters
    ----------
    row
        Its commands and limits.
    inputs
        SHA-256 of the files it is given, by needed row and name.
    environment
        What the command sees; interpreter and installed packages are added to it.
    start
        The commit whose tests judge it.
    """
    folders = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    installed = sorted({path.name for folder in folders for path in Path(folder).glob("*.dist-info")})
    command = (row.run, row.test, row.limit_s, row.needs, row.allow_skip)
    machine = (sys.version, sys.executable, installed, dict(environment))
    return hashlib.sha256(json.dumps([command, inputs, machine, start], sort_keys=True).encode()).hexdigest()


def _records(kind: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a record as JSON has them, lists as tuples; what this version does not know is left out."""
    known = {each.name for each in fields(kind)} & data.keys()
    return {name: tuple(data[name]) if isinstance(data[name], list) else data[name] for name in known}


def _row_result(data: Mapping[str, Any]) -> RowResult:
    expects = tuple(ExpectResult(**_records(ExpectResult, expect)) for expect in data["expects"])
    tests = TestRun(**_records(TestRun, data["tests"])) if data["tests"] else None
    values = _records(RowResult, data) | {"verdict": RowVerdict(data["verdict"]), "expects": expects, "tests": tests}
    return RowResult(**values)


def read_measured(git: Git, turn: TurnRecord) -> tuple[tuple[TestRun, ...], tuple[RowResult, ...]]:
    """Return the test runs and rows of a committed turn, as its hub has them; none where it cannot be read."""
    try:
        data = json.loads(git.document(turn.commit, f"{turn.hub}{MEASURED}") or "{}")
        tests = tuple(TestRun(**_records(TestRun, run)) for run in data.get("tests", ()))
        return tests, tuple(map(_row_result, data.get("rows", ())))
    except (ValueError, TypeError, KeyError):  # another version's, or edited by hand in a merge
        return (), ()


@dataclass(frozen=True)
class Recall:
    """What the earlier turns of an item measured.

    Attributes
    ----------
    git, store
        Where commits and the files that rows wrote are kept.
    turns
        The item's engineer turns, the newest first.
    since
        How many of them may give a result back: none from before the item was let go on.
    evaluators
        Paths that decide the plan's criteria, and make nothing that is decided on.
    again
        Why the handoff asks for rows to be run again, by their id.
    """

    git: Git
    store: ArtifactStore
    turns: tuple[TurnRecord, ...] = ()
    since: int = 0
    evaluators: tuple[str, ...] = ()
    again: Mapping[str, str] = field(default_factory=dict)
    _read: dict[str, tuple[RowResult, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def _measured(self, turn: TurnRecord) -> tuple[RowResult, ...]:
        """Return the rows of a turn, whose hub is read once, whichever row asks."""
        if turn.turn not in self._read:
            self._read[turn.turn] = read_measured(self.git, turn)[1]
        return self._read[turn.turn]

    def _results(self, row: Row, setting: str, turns: Iterable[TurnRecord]) -> Iterator[tuple[TurnRecord, RowResult]]:
        """Yield a row's earlier results in this setting whose files are all in the store."""
        for turn in turns:
            for result in self._measured(turn):
                there = all(self.store.path(sha256).exists() for sha256 in result.files.values())
                if (result.row, result.setting, there) == (row.id, setting, True):
                    yield turn, result

    def _same(self, before: str, after: str, ignored: Callable[[str], bool]) -> bool:
        return all(ignored(change.path) for change in self.git.diff_tree(before, after))

    def failed(self, row: Row, setting: str, tree: str) -> RowResult | None:
        """Return the result of a row that failed on the same code, in the same setting; its expectations held then too.

        Only the loop's own records differ between the trees.
        """
        if row.stochastic or row.id in self.again:
            return None
        for turn, result in self._results(row, setting, self.turns[: self.since]):
            if result.verdict is RowVerdict.FAILED and self._as_before(row, result, turn, tree):
                return replace(result, recorded=result.recorded or turn.turn)
        return None

    def saved(self, row: Row, setting: str, tree: str) -> tuple[str, dict[str, Path]]:
        """Return the turn and the files of a row whose `Run:` went well, where only what evaluates it has changed.

        Files that the row's expectations ask for are left out: its `Recheck:` writes them anew. What failed and would
        be evaluated as before is not worth it.
        """
        if not row.recheck or row.stochastic or row.id in self.again:
            return "", {}
        asked = {found.file for text in row.expects if (found := parse_expectation(text))}
        for turn, result in self._results(row, setting, self.turns):
            failed_so = result.verdict is RowVerdict.FAILED and self._as_before(row, result, turn, tree)
            if result.exit_code == 0 and not failed_so and self._same(turn.tree, tree, self._makes_nothing):
                files = {name: self.store.path(sha256) for name, sha256 in result.files.items() if name not in asked}
                return result.rechecked or turn.turn, files
        return "", {}

    def _as_before(self, row: Row, result: RowResult, turn: TurnRecord, tree: str) -> bool:
        asked = tuple(expect.text for expect in result.expects) == row.expects
        return asked and self._same(turn.tree, tree, is_record)

    def _makes_nothing(self, path: str) -> bool:
        return is_record(path) or lies_below(path, self.evaluators)
