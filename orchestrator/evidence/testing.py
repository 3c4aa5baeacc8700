"""Pytest runs of the harness: collected first, then run, and reported with where the code came from."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.config import known_secrets
from orchestrator.evidence.checkout import Checkout
from orchestrator.evidence.criteria import lies_below
from orchestrator.evidence.setup import set_up
from orchestrator.facts import CodeDiff, TestRun
from orchestrator.policy.rules import Breach, Rulebook, Severity, breach
from orchestrator.process import ChildResult, Ending, Limits, run_child
from orchestrator.sandbox import NO_SANDBOX, Sandbox
from orchestrator.secrets import redact

__all__ = ["TestBench", "causes_of", "count_collected", "run_tests"]

_ALL_FILES = "--continue-on-collection-errors"  # a file that cannot be imported does not hide the others
_EMPTY: Mapping[str, Any] = {
    "collected": 0,
    "outcomes": {},
    "errors": [],
    "messages": {},
    "causes": {},
    "imported_from": {},
    "unrun": [],
    "liars": {},
    "reads": {},
    "exit_status": None,
}


@dataclass(frozen=True)
class TestBench:
    """What a test run needs besides its selectors.

    Attributes
    ----------
    checkout : Checkout
        Holds the tree under test.
    environment : mapping
        Environment of the child.
    packages : tuple of str
        First-party names, which must be imported from the checkout.
    scratch : Path
        Folder of the harness, outside the checkout, for the probe and its report.
    forbidden : Path
        Where the agent worked: nothing may be imported from there.
    seconds : float
        Wall limit of a run.
    should_stop : callable
        Asked while the child runs.
    earlier : collection of str
        Tests that failed before: a run says which of them pass now.
    code : CodeDiff
        Changed functions: a run that watches says which of them were executed.
    allow_skip : collection of str
        What the plan says in `Allow-skip:`; a test named there that skips is "not run".
    setup : tuple of str
        Command that is run whenever the checkout holds another tree.
    sandbox : Sandbox
        The walls around every child, the checkout behind them.
    rulebook : Rulebook
        Decides whether a run counts that broke a rule.
    is_test : callable
        Tells test files by their path: they may do what production code may not.
    suspicions : tuple of Breach
        What speaks against every run of this tree.
    """

    __test__ = False

    checkout: Checkout
    environment: Mapping[str, str]
    packages: tuple[str, ...]
    scratch: Path
    forbidden: Path
    seconds: float
    should_stop: Callable[[], bool] | None = None
    earlier: Collection[str] = ()
    code: CodeDiff = field(default_factory=CodeDiff)
    allow_skip: Collection[str] = ()
    sandbox: Sandbox = NO_SANDBOX
    rulebook: Rulebook = field(default_factory=Rulebook)
    is_test: Callable[[str], bool] = lambda _: False
    suspicions: tuple[Breach, ...] = ()
    setup: tuple[str, ...] = ()

    def show(self, tree: str) -> str:
        """Make the checkout hold a tree and set it up; why that failed, empty when it did not."""
        self.checkout.show(tree)
        return set_up(
            self.setup,
            self.checkout.root,
            self.environment,
            self.scratch / "setup.log",
            sandbox=self.sandbox,
            seconds=self.seconds,
            should_stop=self.should_stop,
        )

    def pytest(
        self, arguments: Sequence[str], log: Path, *, watch: bool = False, only: Collection[str] | None = None
    ) -> tuple[ChildResult, Mapping[str, Any]]:
        """One pytest child in the checkout, and what the harness's probe reports of it.

        Probe and launcher are loaded from outside of the checkout. A report that lacks this run's word is not the
        probe's, and counts as none.
        """
        self.scratch.mkdir(parents=True, exist_ok=True)
        environment = self._watched() if watch else self.environment
        for part in ("probe", "origins", "witness", "launch"):
            shutil.copyfile(Path(__file__).with_name(f"{part}.py"), self.scratch / f"orchestrator_{part}.py")
        report, word = self.scratch / "report.json", secrets.token_hex()
        report.unlink(missing_ok=True)
        if not watch:
            shutil.rmtree(self.scratch / "watch", ignore_errors=True)
        launcher = self.scratch / "orchestrator_launch.py"
        argv = [sys.executable, "-E", "-P", "-B", "-X", "utf8", str(launcher), str(self.checkout.root)]
        arguments = [*argv, "-p", "no:cacheprovider", "--color=no", *arguments]
        asked = {
            "word": word,
            "report": str(report),
            "packages": self.packages,
            "forbidden": str(self.forbidden),
            "only": None if only is None else sorted(only),
        }
        sandbox = self.sandbox.opened(write=[self.scratch])
        result = run_child(
            sandbox.wrap(arguments, self.checkout.root, environment),
            cwd=self.checkout.root,
            env=environment,
            log=log,
            limits=Limits(wall_s=self.seconds * (2 if watch else 1)),  # looking at every call takes its time
            stdin=json.dumps(asked).encode(),
            should_stop=self.should_stop,
        )
        return result, _read(report, word)

    def _watched(self) -> Mapping[str, str]:
        """Prepare a folder in which executed functions are recorded; the environment that leads children there."""
        folder = self.scratch / "watch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copyfile(Path(__file__).with_name("watch.py"), folder / "sitecustomize.py")
        files = {
            str(self.checkout.root / path): {str(line): f"{path}::{name}" for name, line in units.items()}
            for path, units in self.code.units.items()
        } | {str(self.checkout.root / path): {"opened": path} for path in self.code.data}
        (folder / "watch.json").write_text(json.dumps(files), encoding="utf-8")
        return {**self.environment, "PYTHONPATH": f"{folder}{os.pathsep}{self.environment['PYTHONPATH']}"}

    def doubts_of(self, found: Mapping[str, Any]) -> tuple[Breach, ...]:
        """Return what speaks against a run, by what its process noted of itself and left in the checkout."""
        root = self.checkout.root
        foreign = [f"{n} from {path}" for n, path in found["imported_from"].items() if not _is_source(path, root)]
        liars = [(self._path(file), name) for name, file in found["liars"].items()]
        written = [p for p in self.checkout.changed() if p.endswith(".py") and not self.is_test(p)]
        reads = [(self._path(reader), self._path(file)) for reader, file in found["reads"].items()]
        return (
            *self.suspicions,
            *(breach("EVIDENCE-ORIGIN", f"not imported from the checkout: {what}") for what in foreign),
            *(breach("EVIDENCE-ORIGIN", "rewritten while the tests ran", path) for path in written),
            *(breach("EVIDENCE-OUTCOME", "reported as passed, and did not run to its end", n) for n in found["unrun"]),
            *(breach("EVIDENCE-EQUAL", f"{n} says it equals anything", p) for p, n in liars if not self.is_test(p)),
            *(breach("EVIDENCE-BLIND", f"reads the test {file}", p) for p, file in reads if not self.is_test(p)),
        )

    def _path(self, file: str) -> str:
        return Path(file).relative_to(self.checkout.root).as_posix()

    def executed(self, outcomes: Mapping[str, str]) -> tuple[str, ...]:
        """Return the changed functions that tests which passed have executed, as the last run recorded them."""
        try:
            by_test = json.loads((self.scratch / "watch" / "by_test.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return ()
        passed = [node for node, outcome in outcomes.items() if outcome == "passed"]
        return tuple(sorted({unit for node in ("", *passed) for unit in by_test.get(node, ())})) if passed else ()


def _read(report: Path, word: str) -> Mapping[str, Any]:
    try:
        data: dict[str, Any] = json.loads(redact(report.read_bytes(), known_secrets()))
        return {key: data[key] for key in _EMPTY} if data["word"] == word else _EMPTY
    except (OSError, ValueError, KeyError, TypeError):
        return _EMPTY


def count_collected(bench: TestBench, selectors: Sequence[str], log: Path) -> int:
    """How many tests the selectors collect, beside files that cannot be; 0 when collection itself fails."""
    result, found = bench.pytest(["--collect-only", "-q", _ALL_FILES, *selectors], log)
    return int(found["collected"]) if result.code == (1 if found["errors"] else 0) else 0


def causes_of(bench: TestBench, nodes: Collection[str], paths: Sequence[str], tree: str, out: Path) -> dict[str, str]:
    """Run only these tests on `tree`, from the files in `paths`; why they fail there, empty for those that pass."""
    bench.show(tree)
    out.mkdir(parents=True, exist_ok=True)
    _, found = bench.pytest(["-v", "-rA", _ALL_FILES, *paths], out / "pytest.log", only=nodes)
    passed = {node: "" for node, outcome in found["outcomes"].items() if outcome == "passed"}
    return {node: cause for node, cause in {**passed, **found["causes"]}.items() if node in nodes}


def _is_source(path: str, root: Path) -> bool:
    return Path(path).resolve().is_relative_to(root.resolve()) and not path.endswith(".pyc")


def _xml_counts(junit: Path) -> dict[str, int] | None:
    try:
        suite = ET.parse(junit).getroot().find("testsuite")  # noqa: S314 -- written by our own child just now
    except (OSError, ET.ParseError):
        return None
    if suite is None:
        return None
    return {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}


def _note(result: ChildResult, found: Mapping[str, Any], collected: int, xml: Mapping[str, int] | None) -> str:
    """Why the run does not count, empty when it does."""
    if result.ending is not Ending.EXITED:
        return f"the test run was ended ({result.ending.value}) after {result.seconds:.0f} s"
    outcomes = list(found["outcomes"].values())
    early = f"the test process ended with code {result.code} before its tests did: take out what ends it"
    reasons = {
        early: found["exit_status"] is None,
        "not collected: " + ", ".join(found["errors"]): bool(found["errors"]) and collected == 0,
        "the selectors collect no test: correct them, or what keeps their files from being imported": collected == 0,
        "pytest's report, XML and exit code do not agree: take out what changes them": xml is None
        or found["exit_status"] != result.code,
        "pytest's XML contradicts the outcomes seen: take out what changes it": xml is not None
        and (xml["failures"] + xml["errors"] < outcomes.count("failed") or xml["tests"] < outcomes.count("passed")),
        f"{collected} tests were collected and {len(outcomes)} ended: take out what ends the run": len(outcomes)
        < collected,
    }
    return next((f"{reason}; the run does not count" for reason, holds in reasons.items() if holds), "")


def run_tests(bench: TestBench, selectors: Sequence[str], tree: str, out: Path, *, watch: bool = False) -> TestRun:
    """Collect and run the selectors on `tree`; logs, XML and a JSON result are left in `out`.

    A test that skips, or passes where it was expected to fail, is not counted as passed. First-party code from
    outside the checkout makes the run not count. With `watch` the run tells which changed functions it executed.
    """
    watch = watch and bool(bench.code.names)
    broken = bench.show(tree)
    out.mkdir(parents=True, exist_ok=True)
    files = {selector.split("::")[0].rstrip("/") for selector in selectors}
    before = bench.checkout.stamps(lambda path: bench.is_test(path) or lies_below(path, files))
    collected = count_collected(bench, selectors, out / "pytest_collect.log")
    junit = bench.scratch / "junit.xml"
    junit.unlink(missing_ok=True)
    started = time.monotonic()
    arguments = ["-v", "-rA", _ALL_FILES, f"--junitxml={junit}", *selectors]
    result, found = bench.pytest(arguments, out / "pytest.log", watch=watch)
    if junit.is_file() and not junit.is_symlink():
        (out / junit.name).write_bytes(redact(junit.read_bytes(), known_secrets()))
    outcomes: dict[str, str] = found["outcomes"]
    after = bench.checkout.stamps(before.__contains__)
    changed = [path for path, stamp in before.items() if after.get(path) != stamp]
    unsteady = [breach("EVIDENCE-STEADY", "changed while the tests ran", path) for path in changed]
    doubts = (*bench.doubts_of(found), *unsteady)
    note = "; ".join(doubt.text for doubt in bench.rulebook.held(doubts, Severity.DISCOUNT))
    note = broken or note or _note(result, found, collected, _xml_counts(out / junit.name))
    failing = sorted({node for node, outcome in outcomes.items() if outcome == "failed"} | set(found["errors"]))
    skips = sorted(node for node, outcome in outcomes.items() if outcome in {"skipped", "xpassed"})
    allowed = {entry.partition(" — ")[0].strip("` ") for entry in bench.allow_skip}
    not_run = tuple(node for node in skips if node in allowed and outcomes[node] == "skipped")
    skipped = tuple(node for node in skips if node not in not_run)
    run = TestRun(
        selectors=tuple(selectors),
        collected=collected,
        passed=sum(outcome == "passed" for outcome in outcomes.values()),
        failed=len(failing),
        skipped=len(skipped),
        seconds=round(time.monotonic() - started, 3),
        exit_code=result.code,
        counts=not note,
        tree=tree,
        failing=tuple(failing),
        skipped_nodes=skipped,
        not_run=not_run,
        imported_from=found["imported_from"],
        messages=found["messages"],
        causes=found["causes"],
        fixed=tuple(node for node in bench.earlier if outcomes.get(node) == "passed"),
        executed=bench.executed(outcomes) if watch else (),
        told=tuple(doubt.text for doubt in bench.rulebook.held(doubts, Severity.REPORT)),
        note=note or (f"{len(failing)} failing: {', '.join(failing)}" if failing else ""),
    )
    text = json.dumps(asdict(run), indent=1, sort_keys=True)
    (out / "results.json").write_text(text + "\n", encoding="utf-8")
    return run
