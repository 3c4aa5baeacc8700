"""Verification of tree T: mapped tests, the base's tests on the new code, and the rows of the phase."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.errors import EvidenceError
from orchestrator.evidence.commands import selected_paths, split_test
from orchestrator.evidence.excuses import excuses
from orchestrator.evidence.hubs import printable
from orchestrator.evidence.recall import Recall, setting_of
from orchestrator.evidence.rows import RowInputs, run_row
from orchestrator.evidence.store import ArtifactStore
from orchestrator.evidence.testing import TestBench, causes_of, run_tests
from orchestrator.evidence.units import PYTEST_FILES
from orchestrator.facts import RowResult, RowVerdict, TestRun
from orchestrator.git import Git
from orchestrator.records.plan import Row

__all__ = ["Verification", "failing_of", "tree_with_tests_of"]


def tree_with_tests_of(git: Git, old: str, tree: str, is_test: Callable[[str], bool]) -> str:
    """Return `tree` with every test file, and pytest's configuration, as the commit `old` has them."""
    changed = [c.path for c in git.diff_tree(old, tree) if is_test(c.path) or c.path in PYTEST_FILES]
    return git.tree_with(tree, git.files(old, changed)) if changed else tree


def _note(run: TestRun, excused: Mapping[str, str]) -> str:
    """Return what is to be said of a run once the failing tests that are not charged are known."""
    if not run.counts or not excused:
        return run.note
    charged = [node for node in run.failing if node not in excused]
    return f"{len(charged)} failing: {', '.join(charged)}" if charged else ""


def failing_of(run: TestRun, tests: Iterable[str]) -> list[str]:
    """Return the test functions of which a case failed, or whose file could not be imported."""
    broken = {node.partition("[")[0] for node in run.failing}
    return [test for test in tests if test in broken or test.split("::")[0] in broken]


@dataclass(frozen=True)
class Verification:
    """One turn's verification.

    Attributes
    ----------
    bench : TestBench
        Checkout, environment and limits.
    git : Git
        The repository, for composing trees.
    store : ArtifactStore
        Takes what rows write.
    tree : str
        Tree T, which is measured.
    base, start : str
        Commits the turn and the run started from.
    is_test : callable
        Tells test files by their path.
    stage : Path
        Where evidence is collected before it goes to the hub.
    outputs : callable
        SHA-256 of what an earlier verified row wrote, by name.
    recall : Recall
        What the item's earlier turns measured.
    tell : callable
        Told what is under way, and which log to look at meanwhile.
    """

    bench: TestBench
    git: Git
    store: ArtifactStore
    tree: str
    base: str
    start: str
    is_test: Callable[[str], bool]
    stage: Path
    outputs: Callable[[str], Mapping[str, str]]
    recall: Recall
    tell: Callable[[str, Path | None], None]

    def mapped_tests(self, selectors: Sequence[str]) -> tuple[TestRun, ...]:
        """Run the selectors; where test files changed, first as the base had them, on the new code."""
        if not selectors:
            return ()
        runs = []
        old_tests = tree_with_tests_of(self.git, self.base, self.tree, self.is_test)
        kept = [selector for selector in selectors if self._stood_in(self.base, selector.split("::")[0])]
        if old_tests != self.tree and kept:
            self.tell(f"the base's tests on the new code: {', '.join(kept)}", None)
            run = run_tests(self.bench, kept, old_tests, self.stage / "tests-of-base")
            runs.append(replace(run, note=run.note and f"with the tests as the base had them: {run.note}"))
        self.tell(f"tests: {', '.join(selectors)}", None)
        runs.append(run_tests(self.bench, selectors, self.tree, self.stage / "tests", watch=True))
        return self._excused(runs)

    def _excused(self, runs: Sequence[TestRun]) -> tuple[TestRun, ...]:
        """Return the runs with an excuse for each failing test that this run's work cannot have broken."""
        failing = {node: run.causes.get(node, "") for run in runs for node in run.failing}
        if not failing:
            return tuple(runs)
        paths = dict.fromkeys(node.split("::")[0] for node in failing)
        stood = [path for path in paths if self._stood_in(self.start, path)]
        self.tell(f"what fails now, as the run started: {', '.join(stood) or 'nothing was there'}", None)
        out = self.stage / "tests-at-start"
        at_start = causes_of(self.bench, failing, stood, self.start, out) if stood else {}
        found = excuses(failing, at_start, self._is_own)
        return tuple(
            replace(run, excused=own, note=_note(run, own))
            for run in runs
            for own in [{node: found[node] for node in run.failing if node in found}]
        )

    def _is_own(self, module: str) -> bool:
        """Whether a module is the repository's, or a changed file asks for it that did not before."""
        asks = re.compile(rf"^\s*(?:import|from)\s+{re.escape(module)}\b", re.MULTILINE)
        files = self.git.ls_tree(self.tree)
        if any(module in path.removesuffix(".py").split("/") for path in files):
            return True
        changed = [path for path in self.bench.code.units if asks.search(self.git.document(self.tree, path))]
        return any(not asks.search(self.git.document(self.start, path)) for path in changed)

    def proving(self, new_tests: Sequence[str], is_code: Callable[[str], bool]) -> tuple[str, ...]:
        """Return which of the new tests fail on the production code that the run started with.

        That tree is T with every other file as it was then.
        """
        changed = [c.path for c in self.git.diff_tree(self.start, self.tree) if is_code(c.path)]
        old = self.git.tree_with(self.tree, self.git.files(self.start, changed))
        paths = dict.fromkeys(test.split("::")[0] for test in new_tests)
        self.tell(f"the new tests on the code that the run started with: {', '.join(paths)}", None)
        return tuple(failing_of(run_tests(self.bench, list(paths), old, self.stage / "tests-on-old-code"), new_tests))

    def _stood_in(self, commit: str, path: str) -> bool:
        return self.git.entry(commit, path) is not None

    def rows(self, rows: Sequence[Row], verified: Mapping[str, str]) -> tuple[RowResult, ...]:
        """Run the rows in order; a row whose needed rows are not verified is not run.

        `verified` maps row ids verified in earlier turns to their hubs.
        """
        stopping = self.bench.should_stop
        results: dict[str, RowResult] = {}
        for row in rows:
            here = {r.row: r for r in results.values() if r.verdict is RowVerdict.VERIFIED}
            missing = [need for need in row.needs if ":" not in need and need not in here and need not in verified]
            if stopping is not None and stopping():
                results[row.id] = RowResult(row.id, RowVerdict.NOT_RUN, "the run was asked to stop")
            elif missing:
                reason = f"needs {', '.join(missing)}, not verified"
                results[row.id] = RowResult(row.id, RowVerdict.NOT_RUN, reason)
            else:
                self.tell(f"{row.id}: {row.text}", self.stage / f"{row.id}.log")
                results[row.id] = self._row(row, here)
        return tuple(results.values())

    def _row(self, row: Row, here: Mapping[str, RowResult]) -> RowResult:
        """Run one row and store what it wrote at once, so that nothing that runs later can change it.

        Tests that stood when the run started are judged with all tests and pytest's configuration as of then.
        """
        artifacts = self.stage.parent / "artifacts" / row.id
        try:
            needs = [need for need in row.needs if ":" not in need]
            given = {need: here[need].files if need in here else self.outputs(need) for need in needs}
            setting = setting_of(row, given, self.bench.environment, self.start)
            recorded = self.recall.failed(row, setting, self.tree)
            if recorded:
                return recorded
            for need, files in given.items():
                for path, sha256 in files.items():
                    self.store.fetch(sha256, artifacts / need / path)
        except EvidenceError as error:
            return RowResult(row.id, RowVerdict.NOT_RUN, str(error))
        turn, saved = self.recall.saved(row, setting, self.tree)
        inputs = RowInputs(self.stage / row.id, artifacts, self.stage / f"{row.id}.log", saved)
        stood = bool(row.test) and all(self._stood_in(self.start, path) for path in selected_paths(row.test or ""))
        tree = tree_with_tests_of(self.git, self.start, self.tree, self.is_test) if stood else self.tree
        result = run_row(row, self.bench, tree, inputs)
        written = [path for path in sorted(inputs.hub.rglob("*")) if path.is_file() and not path.is_symlink()]
        files = {printable(path.relative_to(inputs.hub)): self.store.put(path) for path in written}
        shutil.rmtree(artifacts, ignore_errors=True)
        return replace(result, files=files, setting=setting, rechecked=turn if saved else "")

    @staticmethod
    def selectors(mapped: Sequence[str], rows: Sequence[Row]) -> tuple[str, ...]:
        """Return the mapped selectors that no row runs anyway."""
        in_rows = {selector for row in rows if row.test for selector in split_test(row.test)[1]}
        return tuple(selector for selector in mapped if selector not in in_rows)
