"""Recorder of the changed functions that each test executes, in pytest's process and in Python processes below it.

It is copied out of the running harness into a folder of its own, as `sitecustomize`, beside `watch.json` (name and
first line of every function of interest, by file). The launcher starts it in pytest's process and hands it over as a
plugin; in a child, on whose module path the folder is, it starts itself. Only calls are looked at, never lines.
It uses the standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["Watch", "start"]


class Watch:
    """Writes each function of interest down when it is first called; as a pytest plugin, tells by which test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, dict[str, str]] = json.loads((folder / "watch.json").read_text(encoding="utf-8"))
        self._record = folder / "executed"
        self._seen: set[str] = set()
        self._read = 0
        self._by_test: dict[str, set[str]] = {"": set()}
        self.trace = self._make_trace()

    def _make_trace(self) -> Callable[[FrameType, str, object], None]:
        """Return what looks at one call and at no line.

        It is called for every function, so it looks up one thing; not the code, which every audit hook would be told.
        """
        files = self.files

        def trace(frame: FrameType, _event: str, _argument: object) -> None:
            if frame.f_globals.get("__file__") in files:
                code = frame.f_code
                line = 0 if code.co_name == "<module>" else code.co_firstlineno
                self.note(files.get(code.co_filename, {}).get(str(line)))

        return trace

    def note(self, unit: str | None) -> None:
        """Write a function down, a whole line at once, since children write to the same file."""
        if unit and unit not in self._seen:
            self._seen.add(unit)
            with self._record.open("ab", buffering=0) as record:
                record.write(f"{unit}\n".encode())

    def _take(self, test: str) -> None:
        """Count what any process has written since the last call for a test; no name stands for all of them."""
        self._seen.clear()
        if self._record.exists():
            with self._record.open("rb") as record:
                record.seek(self._read)
                new = record.read()
            self._read += len(new)
            self._by_test.setdefault(test, set()).update(new.decode().splitlines())

    def pytest_collection_finish(self) -> None:
        """Count what ran on import for all tests."""
        self._take("")

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Count what ran since the last test ended for this one."""
        self._take(nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write the record; where another tracer took this one's place, all that was imported counts as executed."""
        self._take("")
        if sys.gettrace() != self.trace:
            imported = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
            self._by_test[""] |= {u for file, units in self.files.items() if file in imported for u in units.values()}
        record = {test: sorted(units) for test, units in self._by_test.items()}
        (self.folder / "by_test.json").write_text(json.dumps(record), encoding="utf-8")

    def listen(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note a file of interest that is opened; lead a child that is given an environment of its own here."""
        if event == "open" and isinstance(arguments[0], str):
            units = self.files.get(os.path.abspath(arguments[0]))  # noqa: PTH100 -- called for every file
            self.note(units.get("opened") if units else None)
        elif event == "subprocess.Popen" and isinstance(arguments[3], dict):
            environment, folder = arguments[3], str(self.folder)
            path = environment.get("PYTHONPATH", "")
            if isinstance(path, str) and folder not in path:
                environment["PYTHONPATH"] = folder + os.pathsep + path if path else folder


def start() -> Watch:
    """Begin to record in this process and its threads."""
    watch = Watch(Path(__file__).parent)
    sys.addaudithook(watch.listen)
    threading.settrace(watch.trace)
    sys.settrace(watch.trace)
    return watch


def _start_in_child() -> None:
    """Begin to record, then run the environment's own `sitecustomize`, whose name this copy has taken."""
    with contextlib.suppress(OSError, ValueError):
        start()
    spec = PathFinder.find_spec("sitecustomize", [entry for entry in sys.path if entry != str(Path(__file__).parent)])
    if spec and spec.loader:
        spec.loader.exec_module(module_from_spec(spec))


if __name__ == "sitecustomize":
    _start_in_child()
