"""A folder somebody hands over: read once, never left, never followed, never believed to be whole."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

from orchestrator.records.text import Problem, decode

__all__ = ["Tree", "hub_of"]

_T = TypeVar("_T")

_LIMIT = 16_000_000  # what is larger is named, not read
_HASH_LIMIT = 1_000_000_000
_SKIPPED = frozenset({".git", ".orchestrator", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".mypy_cache"})
_STAMP = re.compile(r"(?:\d{4}-\d\d-\d\dT\d\d:?\d\d(?::?\d\d)?Z?|\d{8}T\d{4,6}Z?)[\w-]*")
_EVIDENCE = (".log", ".xml", ".json", ".txt")


@lru_cache(maxsize=65536)  # asked for every file of every hub, and for what the documents name
def hub_of(path: str) -> tuple[str, str] | None:
    """Return what tells one hub from another, in whatever spelling: its item and its stamp; None for no hub."""
    parts = path.split("/")
    for at in range(len(parts) - 1, -1, -1):
        if _STAMP.fullmatch(parts[at]):
            above = [part for part in parts[:at] if part != "reports"]
            return above[-1] if above else "", re.sub("[-:]", "", parts[at])
        if at and parts[at - 1] == ".artifacts" and parts[at]:
            return parts[at], ".artifacts"
    return None


class Tree:
    """What lies below one folder; links are not followed, special files not opened.

    Attributes
    ----------
    files : dict
        Size in bytes by path below the root.
    folders : set of str
        Every folder, without a slash at its end.
    problems : list of Problem
        What could not be read, and why.
    """

    def __init__(self, root: Path, *, only: str | None = None) -> None:
        self.root = root
        self.files: dict[str, int] = {}
        self.folders: set[str] = {""}
        self.problems: list[Problem] = []
        self.hubs: dict[tuple[str, str], list[str]] = {}
        self._read: dict[str, bytes | None] = {}
        self._by_name: dict[str, list[str]] = {}
        self._below: dict[str, list[str]] = {}
        self._above = "/".join(root.absolute().parts[-4:])
        for path, entry in self._walk("", only):
            self._take(path, entry)
        own = hub_of(self._above)
        if own or (not self.hubs and any("/" not in path and path.endswith(_EVIDENCE) for path in self.files)):
            self.hubs = {own or ("", ""): [""]}

    def hub(self, path: str) -> tuple[str, str] | None:
        """Return the hub that a path of the tree lies in."""
        return hub_of(f"{self._above}/{path}") or (("", "") if ("", "") in self.hubs else None)

    def find_hub(self, hub: tuple[str, str]) -> list[str]:
        """Return the folders of a hub; where no item has it, those of the only one with its stamp."""
        found = self.hubs.get(hub)
        if found is None:
            alike = [folders for (_, stamp), folders in self.hubs.items() if stamp == hub[1] != ".artifacts"]
            found = alike[0] if len(alike) == 1 else []
        return found

    def _walk(self, folder: str, only: str | None) -> Iterator[tuple[str, os.DirEntry[str]]]:
        waiting = [folder]
        while waiting:
            inside = waiting.pop()
            try:
                with os.scandir(self.root / inside) as entries:
                    found = sorted((each for each in entries if only in {None, each.name}), key=lambda each: each.name)
            except OSError as error:
                self.note(inside or ".", "a folder that can be read", error.strerror or str(error))
                continue
            for entry in found:
                path = f"{inside}/{entry.name}" if inside else entry.name
                yield path, entry
                if entry.is_dir(follow_symlinks=False) and entry.name not in _SKIPPED:
                    waiting.append(path)

    def _take(self, path: str, entry: os.DirEntry[str]) -> None:
        is_file = entry.is_file(follow_symlinks=False)
        if entry.is_symlink() or not (is_file or entry.is_dir(follow_symlinks=False)):
            if self.hub(path) or path.endswith(".md"):
                self.note(path, "a file or a folder", "a link" if entry.is_symlink() else "neither of them")
        elif entry.is_dir(follow_symlinks=False):
            self.folders.add(path)
            hub = self.hub(path)
            if hub and self.hub(path.rpartition("/")[0]) != hub:
                self.hubs.setdefault(hub, []).append(path)
        elif is_file:
            try:
                self.files[path] = entry.stat(follow_symlinks=False).st_size
            except OSError as error:
                self.note(path, "a file that can be looked at", error.strerror or str(error))
            self._by_name.setdefault(entry.name, []).append(path)
            for end in [0, *(match.start() for match in re.finditer("/", path))]:
                self._below.setdefault(path[:end], []).append(path)

    def note(self, path: str, expected: str, found: str, line: int = 1) -> None:
        """Tell of something that cannot be read, once."""
        problem = Problem(path, line, expected, found)
        if problem not in self.problems:
            self.problems.append(problem)

    def named(self, name: str) -> list[str]:
        """Return the files of this name, wherever they lie."""
        return self._by_name.get(name, [])

    def has(self, path: str) -> bool:
        """Whether a file or folder is there."""
        return path.rstrip("/") in self.folders or path in self.files

    def below(self, folders: Iterable[str]) -> tuple[str, ...]:
        """Return the files in some folders."""
        return tuple(dict.fromkeys(path for folder in folders for path in self._below.get(folder, ())))

    def read(self, path: str) -> bytes | None:
        """Return a file's content, once read; None where it cannot be read, which is told in `problems`."""
        if path not in self._read:
            self._read[path] = self._open(path)
        return self._read[path]

    def _open(self, path: str) -> bytes | None:
        if self.files.get(path, 0) > _LIMIT:
            self.note(path, f"at most {_LIMIT // 1_000_000} MB", f"{self.files[path] // 1_000_000} MB: it was not read")
            return None
        return self._with(path, lambda stream: stream.read(_LIMIT + 1))

    def _with(self, path: str, read: Callable[[BufferedReader], _T]) -> _T | None:
        """Read an ordinary file of the tree; None where that cannot be done, which is told in `problems`."""
        try:
            number = os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(number, "rb") as stream:  # noqa: PTH123 -- it is open already
                return read(stream) if stat.S_ISREG(os.fstat(number).st_mode) else None
        except OSError as error:
            self.note(path, "a file that can be read", error.strerror or str(error))
            return None

    def text(self, path: str) -> str | None:
        """Return a document's text; bytes that are no UTF-8 are told and become surrogates."""
        data = self.read(path)
        if data is None:
            return None
        text, problems = decode(data, path)
        self.problems += [problem for problem in problems if problem not in self.problems]
        return text

    def sha256(self, path: str) -> str | None:
        """Return the SHA-256 of a file in hex; None where it cannot be read."""
        if self.files.get(path, _HASH_LIMIT + 1) > _HASH_LIMIT:
            return None
        known = self._read.get(path)
        if known is not None:
            return hashlib.sha256(known).hexdigest()
        return self._with(path, lambda stream: hashlib.file_digest(stream, "sha256").hexdigest())
