"""Pytest runs of the harness: collected first, then run, and reported with where the code came from."""

from __future__ import annotations

import json
import shutil
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestrator.evidence.checkout import Checkout
from orchestrator.facts import TestRun
from orchestrator.process import ChildResult, Ending, Limits, run_child

__all__ = ["TestBench", "count_collected", "run_tests"]

_EMPTY: Mapping[str, Any] = {
    "collected": 0,
    "outcomes": {},
    "errors": [],
    "messages": {},
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
    """

    __test__ = False

    checkout: Checkout
    environment: Mapping[str, str]
    packages: tuple[str, ...]
    scratch: Path
    forbidden: Path
    seconds: float
    should_stop: Callable[[], bool] | None = None

    def pytest(self, arguments: Sequence[str], log: Path, report: Path) -> ChildResult:
        """One pytest child in the checkout, with the harness's probe loaded from outside of it."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        for part in ("probe", "launch"):
            shutil.copyfile(Path(__file__).with_name(f"{part}.py"), self.scratch / f"orchestrator_{part}.py")
        report.unlink(missing_ok=True)
        launcher = self.scratch / "orchestrator_launch.py"
        argv = [sys.executable, "-E", "-P", "-B", "-X", "utf8", str(launcher), str(self.checkout.root)]
        argv += ["-p", "no:cacheprovider", "--color=no", f"--orchestrator-report={report}"]
        argv += [f"--orchestrator-packages={','.join(self.packages)}", f"--orchestrator-forbidden={self.forbidden}"]
        return run_child(
            [*argv, *arguments],
            cwd=self.checkout.root,
            env=self.environment,
            log=log,
            limits=Limits(wall_s=self.seconds),
            should_stop=self.should_stop,
        )


def _read(report: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return {key: data[key] for key in _EMPTY}
    except (OSError, ValueError, KeyError, TypeError):
        return dict(_EMPTY)


def count_collected(bench: TestBench, selectors: Sequence[str], log: Path) -> int:
    """How many tests the selectors collect; 0 when collection itself fails."""
    report = bench.scratch / "collect.json"
    result = bench.pytest(["--collect-only", "-q", *selectors], log, report)
    found = _read(report)
    return 0 if found["errors"] or result.code != 0 else int(found["collected"])


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
        "not collected: " + ", ".join(found["errors"]): bool(found["errors"]),
        "the selectors collect no test": collected == 0,
        "pytest's report, XML and exit code do not agree": xml is None or found["exit_status"] != result.code,
        "pytest's XML contradicts the outcomes seen": xml is not None
        and (xml["failures"] + xml["errors"] < outcomes.count("failed") or xml["tests"] < outcomes.count("passed")),
        f"{collected} tests were collected and {len(outcomes)} ended": len(outcomes) < collected,
    }
    return next((f"{reason}; the run does not count" for reason, holds in reasons.items() if holds), "")


def run_tests(bench: TestBench, selectors: Sequence[str], tree: str, out: Path) -> TestRun:
    """Collect and run the selectors on `tree`; logs, XML and a JSON result are left in `out`.

    A test that skips, or passes where it was expected to fail, is not counted as passed. First-party code from
    outside the checkout makes the run not count.
    """
    bench.checkout.show(tree)
    out.mkdir(parents=True, exist_ok=True)
    collected = count_collected(bench, selectors, out / "pytest_collect.log")
    report, junit = bench.scratch / "report.json", out / "junit.xml"
    started = time.monotonic()
    result = bench.pytest(["-v", "-rA", f"--junitxml={junit}", *selectors], out / "pytest.log", report)
    found = _read(report)
    outcomes: dict[str, str] = found["outcomes"]
    foreign = _foreign(found["imported_from"], bench.checkout.root)
    note = _note(result, found, collected, _xml_counts(junit))
    if foreign:
        note = "code under test was not imported from the checkout: " + "; ".join(foreign)
    failing = sorted({node for node, outcome in outcomes.items() if outcome == "failed"} | set(found["errors"]))
    skipped = tuple(sorted(node for node, outcome in outcomes.items() if outcome in {"skipped", "xpassed"}))
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
        imported_from=found["imported_from"],
        messages=found["messages"],
        note=note or (f"{len(failing)} failing: {', '.join(failing)}" if failing else ""),
    )
    text = json.dumps(asdict(run), indent=1, sort_keys=True)
    (out / "results.json").write_text(text + "\n", encoding="utf-8")
    return run
