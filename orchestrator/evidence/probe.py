"""Pytest plugin of the harness: reports outcomes and where first-party code came from.

It is copied out of the running harness and loaded before the checkout under test is on the path, so that the
checkout cannot replace it.
It uses the standard library and pytest only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Probe"]


def _cause(report: Any) -> str:  # noqa: ANN401 -- pytest's types must not be needed to read this file
    """Return exception and message of a failure, as pytest tells them."""
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = [line[4:] for line in str(report.longrepr).splitlines() if line.startswith("E   ")]
    text = str(crash.message) if crash else (lines or [""])[-1]
    return ("AssertionError: " if text.startswith("assert ") else "") + text[:1000]


class Probe:
    """Collects outcomes; a test's outcome is its worst phase.

    `asked` is what the harness wants: where to write the report, the word it has to carry, first-party names, the
    folder from which nothing may come, and the tests to run, if not all of them. `witness` tells what else it noted.
    """

    def __init__(self, asked: Mapping[str, Any], witness: Any) -> None:  # noqa: ANN401 -- lies beside this file's copy
        self.asked = asked
        self.witness = witness
        self.causes: dict[str, str] = {}
        self.outcomes: dict[str, str] = {}
        self.messages: dict[str, str] = {}
        self.errors: list[str] = []

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:  # noqa: ANN401 -- as above
        """Keep only the tests that the harness asks for by name, where it does."""
        names = self.asked["only"]
        if names is not None:
            config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in names])
            items[:] = [item for item in items if item.nodeid in names]

    def pytest_collectreport(self, report: Any) -> None:  # noqa: ANN401 -- as above
        """Remember files that could not be collected, and those skipped whole."""
        if report.failed:
            self.errors.append(report.nodeid)
            self.messages[report.nodeid] = str(report.longrepr)[-2000:]
            self.causes[report.nodeid] = _cause(report)
        elif report.skipped:
            self.outcomes[report.nodeid] = "skipped"

    def pytest_runtest_logreport(self, report: Any) -> None:  # noqa: ANN401 -- as above
        """Fold the three phases of a test into one outcome."""
        if report.failed:
            self.outcomes[report.nodeid] = "failed"
            self.messages[report.nodeid] = str(report.longrepr)[-2000:]
            self.causes[report.nodeid] = _cause(report)
        elif report.skipped:
            self.outcomes.setdefault(report.nodeid, "skipped")
        elif report.when == "call":
            self.outcomes.setdefault(report.nodeid, "xpassed" if hasattr(report, "wasxfail") else "passed")

    def _origins(self) -> dict[str, str]:
        """Return where first-party modules came from, and others that come from where nothing may."""
        forbidden = f"{self.asked['forbidden']}/"
        files = {name: str(getattr(module, "__file__", None)) for name, module in list(sys.modules.items())}
        own = {n: file for n, file in files.items() if n in self.asked["packages"] or file.startswith(forbidden)}
        return {**own, **self.witness.foreign()}

    def pytest_sessionfinish(self, session: Any, exitstatus: int) -> None:  # noqa: ANN401 -- as above
        """Write the report when the session ends."""
        report = {
            "word": self.asked["word"],
            "collected": session.testscollected,
            "exit_status": int(exitstatus),
            "outcomes": self.outcomes,
            "messages": self.messages,
            "causes": self.causes,
            "errors": self.errors,
            "imported_from": self._origins(),
            "unrun": self.witness.unrun(self.outcomes),
            "liars": self.witness.liars(),
            "reads": self.witness.reads,
        }
        Path(self.asked["report"]).write_text(json.dumps(report), encoding="utf-8")
