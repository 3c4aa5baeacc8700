"""Pytest plugin of the harness: notes what no honest test run does, from inside of it.

It is copied out of the running harness and started before the checkout under test is on the path. What it notes is
told with the report: tests that are said to have passed without having run to their end, classes that equal anything,
files of tests that were read, modules from elsewhere. It uses the standard library and pytest only.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping
from types import FrameType
from typing import Any

import pytest
from _pytest.unittest import TestCaseFunction

__all__ = ["Witness", "start"]

_HEAP_TYPE = 1 << 9  # of `type.__flags__`: made by a class statement
_BASES = (object, float, int, complex, str, tuple, list, dict)
_TELLS_OF_FRAMES = ("traceback.py", "warnings.py", "logging/__init__.py")
_MODULE_OF_FRAMES = "getframeinfo"


class Witness:
    """Notes of one pytest process; paths are absolute."""

    def __init__(self, root: str, trust: Any) -> None:  # noqa: ANN401 -- lies beside this file's copy
        self.root = root + os.sep
        self._trust = trust
        self._files: set[str] = set()
        self._expected: set[str] = set()
        self._ended: set[str] = set()
        self._liars: dict[str, str] = {}
        self.reads: dict[str, str] = {}

    def pytest_itemcollected(self, item: Any) -> None:  # noqa: ANN401 -- pytest's own types change
        """Note a test, and the file it stands in."""
        self._files.add(str(item.path))
        if isinstance(item, pytest.Function) and not isinstance(item, TestCaseFunction):
            self._expected.add(item.nodeid)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_pyfunc_call(self, pyfuncitem: Any) -> Generator[None, object, object]:  # noqa: ANN401 -- as above
        """Note that the test's own function came to its end, whatever is reported of it."""
        test, node = pyfuncitem.obj, pyfuncitem.nodeid
        self._ended.discard(node)
        if inspect.iscoroutinefunction(test):
            result = yield
            self._ended.add(node)
            return result

        @functools.wraps(test)
        def watched(*arguments: object, **named: object) -> object:
            result = test(*arguments, **named)
            self._ended.add(node)
            self._find_liars(child for base in _BASES for child in type.__subclasses__(base))
            return result

        pyfuncitem.obj = watched
        try:
            return (yield)
        finally:
            pyfuncitem.obj = test

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note which file of the checkout reads a file of tests; what only tells where it is called from may."""
        if event != "open" or not isinstance(arguments[0], str) or not arguments[0].endswith(".py"):
            return
        path = os.path.realpath(arguments[0])
        if path not in self._files:
            return
        frame: FrameType | None = sys._getframe()
        while frame and not frame.f_code.co_filename.startswith(self.root):
            if frame.f_code.co_filename.endswith(_TELLS_OF_FRAMES) or frame.f_code.co_name == _MODULE_OF_FRAMES:
                return
            frame = frame.f_back
        if frame and frame.f_code.co_filename != path:
            self.reads[frame.f_code.co_filename] = path

    def unrun(self, outcomes: Mapping[str, str]) -> list[str]:
        """Return the tests that are said to have passed, and whose function did not come to its end."""
        return [n for n, outcome in outcomes.items() if outcome == "passed" and n in self._expected - self._ended]

    def _find_liars(self, classes: Iterable[type]) -> None:
        for cls in classes:
            if "__eq__" in cls.__dict__ and (file := self._file_of(cls)) and _lies(cls):
                self._liars[cls.__qualname__] = file

    def liars(self) -> dict[str, str]:
        """Return the classes of the checkout that say they equal anything, with their file.

        One that is made while a test runs may be gone again: plain ones are looked at after every test.
        """
        self._find_liars(set(_classes(object)))
        return self._liars

    def _file_of(self, cls: type) -> str:
        code = getattr(cls.__dict__["__eq__"], "__code__", None)
        file = code.co_filename if code else ""
        return file if file.startswith(self.root) else ""

    def foreign(self) -> dict[str, str]:
        """Return modules with their file that are neither in the checkout nor installed, nor made by this run."""
        found = {}
        for name, module in list(sys.modules.items()):
            named = getattr(module, "__file__", None)
            if named and self._trust.is_foreign(named):  # what is built in has no file
                found[name] = os.path.realpath(named)
        return found


def _classes(cls: type) -> Iterator[type]:
    children: list[type] = type.__subclasses__(cls)
    for child in children:
        yield child
        yield from _classes(child)


def _lies(cls: type) -> bool:
    """Whether an empty instance of a class equals an object that nobody knows."""
    builtin: Any = next(base for base in cls.__mro__ if not base.__flags__ & _HEAP_TYPE)
    try:
        return builtin.__new__(cls).__eq__(object()) is True
    except Exception:  # noqa: BLE001 -- what a class does with an empty instance is its own affair
        return False


def start(root: str, trust: Any) -> Witness:  # noqa: ANN401 -- as above
    """Begin to take notes in this process; `trust` tells code from elsewhere."""
    witness = Witness(root, trust)
    sys.addaudithook(witness.see)
    return witness
