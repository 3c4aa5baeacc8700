"""Pytest plugin of the harness: reports outcomes and where first-party code came from.

It is copied out of the running harness and loaded before the checkout under test is on the path, so that the
checkout cannot replace it.
It uses the standard library and pytest only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

__all__: list[str] = []


def pytest_addoption(parser: Any) -> None:  # noqa: ANN401 -- pytest's types must not be needed to read this file
    """Add the options by which the harness talks to this plugin."""
    group = parser.getgroup("orchestrator")
    group.addoption("--orchestrator-report", default=None)
    group.addoption("--orchestrator-packages", default="")
    group.addoption("--orchestrator-forbidden", default="")
    group.addoption("--orchestrator-only", default=None)


def _cause(report: Any) -> str:  # noqa: ANN401 -- as above
    """Return exception and message of a failure, as pytest tells them."""
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = [line[4:] for line in str(report.longrepr).splitlines() if line.startswith("E   ")]
    text = str(crash.message) if crash else (lines or [""])[-1]
    return ("AssertionError: " if text.startswith("assert ") else "") + text[:1000]


class _Recorder:
    """Collects outcomes; a test's outcome is its worst phase."""

    def __init__(self, path: Path, packages: list[str], forbidden: str) -> None:
        self.path = path
        self.causes: dict[str, str] = {}
        self.packages = packages
        self.forbidden = forbidden
        self.outcomes: dict[str, str] = {}
        self.messages: dict[str, str] = {}
        self.errors: list[str] = []

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

    def pytest_sessionfinish(self, session: Any, exitstatus: int) -> None:  # noqa: ANN401 -- as above
        """Write the report when the session ends."""
        files = {name: str(getattr(module, "__file__", None)) for name, module in list(sys.modules.items())}
        origins = {
            name: file
            for name, file in files.items()
            if name in self.packages or (self.forbidden and file.startswith(self.forbidden + "/"))
        }
        report = {
            "collected": session.testscollected,
            "exit_status": int(exitstatus),
            "outcomes": self.outcomes,
            "messages": self.messages,
            "causes": self.causes,
            "errors": self.errors,
            "imported_from": origins,
        }
        self.path.write_text(json.dumps(report), encoding="utf-8")


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:  # noqa: ANN401 -- as above
    """Keep only the tests that the harness asks for by name, where it does."""
    only = config.getoption("--orchestrator-only")
    if only:
        names = set(json.loads(Path(only).read_text(encoding="utf-8")))
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in names])
        items[:] = [item for item in items if item.nodeid in names]


def pytest_configure(config: Any) -> None:  # noqa: ANN401 -- as above
    """Start recording when the harness asked for it."""
    path = config.getoption("--orchestrator-report")
    if path:
        packages = [name for name in config.getoption("--orchestrator-packages").split(",") if name]
        forbidden = config.getoption("--orchestrator-forbidden")
        config.pluginmanager.register(_Recorder(Path(path), packages, forbidden), "orchestrator-recorder")
