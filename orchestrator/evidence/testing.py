"""Pytest runs of the harness: collected first, then run, and reported with where the code came from."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.evidence.checkout import Checkout
from orchestrator.facts import CodeDiff, TestRun
from orchestrator.process import ChildResult, Ending, Limits, run_child
from orchestrator.sandbox import NO_SANDBOX, Sandbox

__all__ = ["TestBench", "causes_of", "count_collected", "run_tests"]

_ALL_FILES = "--continue-on-collection-errors"  # a file that cannot be imported does not hide the others
_EMPTY: Mapping[str, Any] = {
    "collected": 0,
    "outcomes": {},
    "errors": [],
    "messages": {},
    "causes": {},
    "imported_from": {},
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
    sandbox : Sandbox
        The walls around every child, the checkout behind them.
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

    def pytest(self, arguments: Sequence[str], log: Path, report: Path, *, watch: bool = False) -> ChildResult:
        """One pytest child in the checkout, with the harness's probe loaded from outside of it."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        environment = self._watched() if watch else self.environment
        for part in ("probe", "launch"):
            shutil.copyfile(Path(__file__).with_name(f"{part}.py"), self.scratch / f"orchestrator_{part}.py")
        report.unlink(missing_ok=True)
        if not watch:
            shutil.rmtree(self.scratch / "watch", ignore_errors=True)
        launcher = self.scratch / "orchestrator_launch.py"
        argv = [sys.executable, "-E", "-P", "-B", "-X", "utf8", str(launcher), str(self.checkout.root)]
        argv += ["-p", "no:cacheprovider", "--color=no", f"--orchestrator-report={report}"]
        argv += [f"--orchestrator-packages={','.join(self.packages)}", f"--orchestrator-forbidden={self.forbidden}"]
        sandbox = self.sandbox.opened(write=[self.scratch])
        return run_child(
            sandbox.wrap([*argv, *arguments], self.checkout.root, environment),
            cwd=self.checkout.root,
            env=environment,
            log=log,
            limits=Limits(wall_s=self.seconds),
            should_stop=self.should_stop,
        )

    def _watched(self) -> Mapping[str, str]:
        """Prepare a folder in which executed functions are recorded; the environment that leads children there."""
        folder = self.scratch / "watch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copyfile(Path(__file__).with_name("watch.py"), folder / "sitecustomize.py")
        files = {
            str(self.checkout.root / path): {str(line): f"{path}::{name}" for name, line in units.items()}
            for path, units in self.code.units.items()
        }
        (folder / "watch.json").write_text(json.dumps(files), encoding="utf-8")
        return {**self.environment, "PYTHONPATH": f"{folder}{os.pathsep}{self.environment['PYTHONPATH']}"}

    def executed(self, outcomes: Mapping[str, str]) -> tuple[str, ...]:
        """Return the changed functions that tests which passed have executed, as the last run recorded them."""
        try:
            by_test = json.loads((self.scratch / "watch" / "by_test.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return ()
        passed = [node for node, outcome in outcomes.items() if outcome == "passed"]
        return tuple(sorted({unit for node in ("", *passed) for unit in by_test.get(node, ())})) if passed else ()


def _read(report: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return {key: data[key] for key in _EMPTY}
    except (OSError, ValueError, KeyError, TypeError):
        return dict(_EMPTY)


def count_collected(bench: TestBench, selectors: Sequence[str], log: Path) -> int:
    """How many tests the selectors collect, beside files that cannot be; 0 when collection itself fails."""
    report = bench.scratch / "collect.json"
    result = bench.pytest(["--collect-only", "-q", _ALL_FILES, *selectors], log, report)
    found = _read(report)
    return int(found["collected"]) if result.code == (1 if found["errors"] else 0) else 0


def causes_of(bench: TestBench, nodes: Collection[str], paths: Sequence[str], tree: str, out: Path) -> dict[str, str]:
    """Run only these tests on `tree`, from the files in `paths`; why they fail there, empty for those that pass."""
    bench.checkout.show(tree)
    out.mkdir(parents=True, exist_ok=True)
    only, report = bench.scratch / "only.json", bench.scratch / "report.json"
    only.write_text(json.dumps(sorted(nodes)), encoding="utf-8")
    bench.pytest(["-v", "-rA", _ALL_FILES, f"--orchestrator-only={only}", *paths], out / "pytest.log", report)
    found = _read(report)
    passed = {node: "" for node, outcome in found["outcomes"].items() if outcome == "passed"}
    return {node: cause for node, cause in {**passed, **found["causes"]}.items() if node in nodes}


def _xml_counts(junit: Path) -> dict[str, int] | None:
    try:
        suite = ET.parse(junit).getroot().find("testsuite")  # noqa: S314 -- written by our own child just now
    except (OSError, ET.ParseError):
        return None
    if suite is None:
        return None
    return {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}


def _foreign(imported_from: Mapping[str, str], root: Path) -> list[str]:
    return [f"{name} from {path}" for name, path in imported_from.items() if not Path(path).is_relative_to(root)]


def _note(result: ChildResult, found: Mapping[str, Any], collected: int, xml: Mapping[str, int] | None) -> str:
    """Why the run does not count, empty when it does."""
    if result.ending is not Ending.EXITED:
        return f"the test run was ended ({result.ending.value}) after {result.seconds:.0f} s"
    outcomes = list(found["outcomes"].values())
    reasons = {
        "not collected: " + ", ".join(found["errors"]): bool(found["errors"]) and collected == 0,
        "the selectors collect no test": collected == 0,
        "pytest's report, XML and exit code do not agree": xml is None or found["exit_status"] != result.code,
        "pytest's XML contradicts the outcomes seen": xml is not None
        and (xml["failures"] + xml["errors"] < outcomes.count("failed") or xml["tests"] < outcomes.count("passed")),
        f"{collected} tests were collected and {len(outcomes)} ended": len(outcomes) < collected,
    }
    return next((f"{reason}; the run does not count" for reason, holds in reasons.items() if holds), "")


def run_tests(bench: TestBench, selectors: Sequence[str], tree: str, out: Path, *, watch: bool = False) -> TestRun:
    """Collect and run the selectors on `tree`; logs, XML and a JSON result are left in `out`.

    A test that skips, or passes where it was expected to fail, is not counted as passed. First-party code from
    outside the checkout makes the run not count. With `watch` the run tells which changed functions it executed.
    """
    watch = watch and bool(bench.code.units)
    bench.checkout.show(tree)
    out.mkdir(parents=True, exist_ok=True)
    collected = count_collected(bench, selectors, out / "pytest_collect.log")
    report, junit = bench.scratch / "report.json", bench.scratch / "junit.xml"
    junit.unlink(missing_ok=True)
    started = time.monotonic()
    arguments = ["-v", "-rA", _ALL_FILES, f"--junitxml={junit}", *selectors]
    result = bench.pytest(arguments, out / "pytest.log", report, watch=watch)
    found = _read(report)
    if junit.is_file() and not junit.is_symlink():
        shutil.copyfile(junit, out / junit.name)
    outcomes: dict[str, str] = found["outcomes"]
    foreign = _foreign(found["imported_from"], bench.checkout.root)
    note = _note(result, found, collected, _xml_counts(out / junit.name))
    if foreign:
        note = "code under test was not imported from the checkout: " + "; ".join(foreign)
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
        note=note or (f"{len(failing)} failing: {', '.join(failing)}" if failing else ""),
    )
    text = json.dumps(asdict(run), indent=1, sort_keys=True)
    (out / "results.json").write_text(text + "\n", encoding="utf-8")
    return run
