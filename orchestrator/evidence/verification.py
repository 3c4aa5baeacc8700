"""Verification of tree T: mapped tests, the base's tests on the new code, and the rows of the phase."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.errors import EvidenceError
from orchestrator.evidence.rows import RowInputs, run_row, selectors_of
from orchestrator.evidence.testing import TestBench, run_tests
from orchestrator.facts import PathChange, PathClass, RowResult, RowVerdict, TestRun
from orchestrator.git import Git
from orchestrator.records.plan import Row

__all__ = ["Verification", "tree_with_base_tests"]


def tree_with_base_tests(git: Git, base: str, tree: str, changes: Sequence[PathChange]) -> str:
    """`tree` with every changed test file as `base` had it; the same tree when none changed."""
    before = git.ls_tree(base)
    tests = [change.path for change in changes if change.kind is PathClass.TESTS]
    return git.tree_with(tree, {path: before.get(path) for path in tests}) if tests else tree


@dataclass(frozen=True)
class Verification:
    """One turn's verification.

    Attributes
    ----------
    bench : TestBench
        Checkout, environment and limits.
    git : Git
        The repository, for composing trees.
    stage : Path
        Where evidence is collected before it goes to the hub.
    inputs : callable
        `(row id, folder)`: puts the outputs of an earlier verified row into the folder.
    tell : callable
        Told what is under way, and which log to look at meanwhile.
    """

    bench: TestBench
    git: Git
    stage: Path
    inputs: Callable[[str, Path], None]
    tell: Callable[[str, Path | None], None]

    def mapped_tests(
        self, selectors: Sequence[str], base: str, tree: str, changes: Sequence[PathChange]
    ) -> tuple[TestRun, ...]:
        """Run the selectors on `tree`; before that, where test files changed, as the base had them on the new code."""
        if not selectors:
            return ()
        runs = []
        old_tests = tree_with_base_tests(self.git, base, tree, changes)
        if old_tests != tree:
            existing = self.git.ls_tree(base)
            kept = [selector for selector in selectors if self._path(selector) in existing]
            if kept:
                self.tell(f"the base's tests on the new code: {', '.join(kept)}", None)
                run = run_tests(self.bench, kept, old_tests, self.stage / "tests-of-base")
                runs.append(replace(run, note=run.note and f"with the tests as the base had them: {run.note}"))
        self.tell(f"tests: {', '.join(selectors)}", None)
        runs.append(run_tests(self.bench, selectors, tree, self.stage / "tests"))
        return tuple(runs)

    @staticmethod
    def _path(selector: str) -> str:
        return selector.split("::", maxsplit=1)[0]

    def rows(
        self, rows: Sequence[Row], tree: str, verified: Mapping[str, str], limit: Callable[[], bool]
    ) -> tuple[RowResult, ...]:
        """Run the rows in order; a row whose needed rows are not verified is not run.

        `verified` maps row ids verified in earlier turns to their hubs; `limit` stops before the next row.
        """
        results: list[RowResult] = []
        for row in rows:
            if limit():
                results.append(RowResult(row.id, RowVerdict.NOT_RUN, "the run was asked to stop"))
                continue
            here = {result.row for result in results if result.verdict is RowVerdict.VERIFIED}
            missing = [need for need in row.needs if ":" not in need and need not in here and need not in verified]
            if missing:
                results.append(RowResult(row.id, RowVerdict.NOT_RUN, f"needs {', '.join(missing)}, not verified"))
                continue
            self.tell(f"{row.id}: {row.text}", self.stage / f"{row.id}.log")
            results.append(self._row(row, tree, here))
        return tuple(results)

    def _row(self, row: Row, tree: str, here: set[str]) -> RowResult:
        artifacts = self.stage.parent / "artifacts" / row.id
        try:
            for need in row.needs:
                if ":" in need:
                    continue
                if need in here:
                    artifacts.mkdir(parents=True, exist_ok=True)
                    (artifacts / need).symlink_to(self.stage / need, target_is_directory=True)
                else:
                    self.inputs(need, artifacts / need)
        except EvidenceError as error:
            return RowResult(row.id, RowVerdict.NOT_RUN, str(error))
        inputs = RowInputs(self.stage / row.id, artifacts, self.stage / f"{row.id}.log")
        return run_row(row, self.bench, tree, inputs)

    @staticmethod
    def selectors(mapped: Sequence[str], rows: Sequence[Row]) -> tuple[str, ...]:
        """Return mapped selectors that no row runs anyway."""
        in_rows = {selector for row in rows if row.test for selector in selectors_of(row.test)}
        return tuple(selector for selector in mapped if selector not in in_rows)
