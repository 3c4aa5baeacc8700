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


# Files that steer pytest from the root of a repository; they count as tests when the base's tests are asked for.
_PYTEST_CONFIGURATION = frozenset({"pyproject.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg"})


def tree_with_base_tests(git: Git, base: str, tree: str, changes: Sequence[PathChange]) -> str:
    """Return `tree` with every changed test file, and pytest's configuration, as `base` had them."""
    before = git.ls_tree(base)
    tests = [c.path for c in changes if c.kind is PathClass.TESTS or c.path in _PYTEST_CONFIGURATION]
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
    base : str
        Commit the turn started from.
    tree : str
        Tree T, which is measured.
    old_tests : str
        Tree T with the tests as the base had them; T itself when none changed.
    stage : Path
        Where evidence is collected before it goes to the hub.
    inputs : callable
        `(row id, folder)`: puts the outputs of an earlier verified row into the folder.
    tell : callable
        Told what is under way, and which log to look at meanwhile.
    """

    bench: TestBench
    git: Git
    base: str
    tree: str
    old_tests: str
    stage: Path
    inputs: Callable[[str, Path], None]
    tell: Callable[[str, Path | None], None]

    def mapped_tests(self, selectors: Sequence[str]) -> tuple[TestRun, ...]:
        """Run the selectors; where test files changed, first as the base had them, on the new code."""
        if not selectors:
            return ()
        runs = []
        kept = [selector for selector in selectors if self._stood_in_base(selector)]
        if self.old_tests != self.tree and kept:
            self.tell(f"the base's tests on the new code: {', '.join(kept)}", None)
            run = run_tests(self.bench, kept, self.old_tests, self.stage / "tests-of-base")
            runs.append(replace(run, note=run.note and f"with the tests as the base had them: {run.note}"))
        self.tell(f"tests: {', '.join(selectors)}", None)
        runs.append(run_tests(self.bench, selectors, self.tree, self.stage / "tests"))
        return tuple(runs)

    def _stood_in_base(self, selector: str) -> bool:
        return self.git.blob(self.base, selector.split("::", maxsplit=1)[0]) is not None

    def rows(
        self, rows: Sequence[Row], verified: Mapping[str, str], stopping: Callable[[], bool]
    ) -> tuple[RowResult, ...]:
        """Run the rows in order; a row whose needed rows are not verified is not run.

        `verified` maps row ids verified in earlier turns to their hubs; `stopping` is asked before each row.
        """
        results: list[RowResult] = []
        for row in rows:
            if stopping():
                results.append(RowResult(row.id, RowVerdict.NOT_RUN, "the run was asked to stop"))
                continue
            here = {result.row for result in results if result.verdict is RowVerdict.VERIFIED}
            missing = [need for need in row.needs if ":" not in need and need not in here and need not in verified]
            if missing:
                results.append(RowResult(row.id, RowVerdict.NOT_RUN, f"needs {', '.join(missing)}, not verified"))
                continue
            self.tell(f"{row.id}: {row.text}", self.stage / f"{row.id}.log")
            results.append(self._row(row, here))
        return tuple(results)

    def _row(self, row: Row, here: set[str]) -> RowResult:
        """Run one row; tests that stood in the base are judged with everything around them as it stood there."""
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
        stood = bool(row.test) and all(self._stood_in_base(selector) for selector in selectors_of(row.test or ""))
        return run_row(row, self.bench, self.old_tests if stood else self.tree, inputs)

    @staticmethod
    def selectors(mapped: Sequence[str], rows: Sequence[Row]) -> tuple[str, ...]:
        """Return the mapped selectors that no row runs anyway."""
        in_rows = {selector for row in rows if row.test for selector in selectors_of(row.test)}
        return tuple(selector for selector in mapped if selector not in in_rows)
