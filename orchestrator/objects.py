"""What a repository holds, asked of one `git cat-file --batch`: refs, trees and the contents of files."""

from __future__ import annotations

import re
import select
import subprocess
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from orchestrator.errors import GitError

__all__ = ["FOLDER", "Found", "Objects", "TreeEntry"]

FOLDER = "040000"
_BY_ID = re.compile(r"[0-9a-f]{40,64}(?:\^\{tree\})?")
_ENTRIES_KEPT = 200_000


class TreeEntry(NamedTuple):
    """What a tree holds under a path: the mode in octal and the id of the blob, or of the tree below."""

    mode: str
    blob: str


class Found(NamedTuple):
    """An object: its id, its kind (blob, tree, commit, tag) and its content."""

    id: str
    kind: str
    content: bytes


class Objects:
    """A reader of one repository, much quicker than a git for every question.

    The process is started by the first question and ends with `close`, after which the next question starts another.
    It only reads and holds no lock; new objects and moved refs are seen. If the harness dies it ends too, because its
    standard input does.

    Parameters
    ----------
    start
        Starts ``git cat-file --batch`` with pipes.
    timeout_s
        Seconds that one answer may take.
    """

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]], timeout_s: float) -> None:
        self._start = start
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._trees: dict[str, dict[str, TreeEntry]] = {}
        self._known = 0

    def ask(self, name: str) -> Found | None:
        """Return what a ref, an id or an expression without line breaks names; None if it names nothing.

        Raises
        ------
        GitError
            If git ends instead of answering, because an object is damaged for one, or takes too long.
        """
        was_kept = self._process is not None
        try:
            return self._ask(name)
        except (OSError, EOFError) as error:
            said = self.close() or error
            if was_kept and not isinstance(error, TimeoutError):
                return self.ask(name)  # somebody ended the one we had
            came = f"none within {self._timeout_s:g} s: {said}; look with `git fsck`"
            raise GitError(f"git cat-file {name}: expected an answer, came {came}") from error

    def get(self, name: str, kind: str) -> Found:
        """Return an object that has to be there and to be of this kind; GitError if it is not."""
        found = self.ask(name)
        if found is None or found.kind != kind:
            came = f"a {found.kind}" if found else "nothing, or a damaged object: look with `git fsck`"
            raise GitError(f"git cat-file {name}: expected a {kind}, came {came}")
        return found

    def folder(self, tree: str, path: str = "") -> dict[str, TreeEntry]:
        """Return what a folder of a tree or commit holds by name, one level deep; nothing if it is no folder."""
        entry = self.entry(tree, path)
        return self._names(entry.blob) if entry and entry.mode == FOLDER else {}

    def entry(self, tree: str, path: str) -> TreeEntry | None:
        """Return what a tree or commit holds under a path, a folder too; None if there is nothing."""
        entry = TreeEntry(FOLDER, f"{tree}^{{tree}}")
        for name in PurePosixPath(path).parts:
            below = self._names(entry.blob).get(name) if entry.mode == FOLDER else None
            if below is None:
                return None
            entry = below
        return entry

    def files(self, tree: str, path: str = "") -> dict[str, TreeEntry]:
        """Return the files at or below a path of a tree or commit, by path."""
        top = self.entry(tree, path)
        return dict(self._files(path.rstrip("/"), top)) if top else {}

    def differing(self, one: str, other: str) -> Iterator[str]:
        """Yield the paths of files that two trees do not both hold alike; what is equal is not looked into."""
        yield from self._differing("", self._names(one), self._names(other))

    def close(self) -> str:
        """End the process, if there is one; returns what it said on standard error."""
        process, self._process = self._process, None
        if process is None:
            return ""
        process.kill()  # it only reads: nothing is cut short
        return process.communicate()[1].decode(errors="replace").strip()

    def _files(self, path: str, entry: TreeEntry) -> Iterator[tuple[str, TreeEntry]]:
        if entry.mode != FOLDER:
            yield path, entry
            return
        for name, inside in self._names(entry.blob).items():
            yield from self._files(f"{path}/{name}" if path else name, inside)

    def _differing(self, above: str, one: dict[str, TreeEntry], other: dict[str, TreeEntry]) -> Iterator[str]:
        for name in {**one, **other}:
            pair = one.get(name), other.get(name)
            if pair[0] != pair[1]:
                inside = [self._names(each.blob) if each and each.mode == FOLDER else {} for each in pair]
                if any(each and each.mode != FOLDER for each in pair):
                    yield above + name
                yield from self._differing(f"{above}{name}/", *inside)

    def _names(self, name: str) -> dict[str, TreeEntry]:
        """Return what one folder holds; folders named by an id, which never change, are kept."""
        if name not in self._trees:
            entries = self._read(name)
            if not _BY_ID.fullmatch(name):
                return entries
            self._known += len(entries)
            if self._known > _ENTRIES_KEPT:
                self._trees.clear()
                self._known = len(entries)
            self._trees[name] = entries
        return self._trees[name]

    def _read(self, name: str) -> dict[str, TreeEntry]:
        tree, entries, at = self.get(name, "tree"), {}, 0
        while at < len(tree.content):  # each entry is "<mode> <name>\0<id in binary>"
            start, end = at, tree.content.index(b"\0", at)
            at = end + 1 + len(tree.id) // 2
            mode, _, path = tree.content[start:end].decode("utf-8", "surrogateescape").partition(" ")
            entries[path] = TreeEntry(mode.zfill(len(FOLDER)), tree.content[end + 1 : at].hex())
        return entries

    def _ask(self, name: str) -> Found | None:
        process = self._process = self._process or self._start()
        if process.stdin is None or process.stdout is None:
            raise AssertionError("the reader is started with pipes")
        process.stdin.write(name.encode("utf-8", "surrogateescape") + b"\n")
        process.stdin.flush()
        answers = select.poll()
        answers.register(process.stdout)
        if not answers.poll(self._timeout_s * 1000):
            raise TimeoutError("nothing at all")
        head = process.stdout.readline()
        if head.endswith((b" missing\n", b" ambiguous\n")):
            return None
        known, kind, size = head.decode().split(" ") if head else ("", "", "0")
        content = process.stdout.read(int(size) + 1)  # a line break follows the content
        if len(content) <= int(size):
            raise EOFError("it ended")
        return Found(known, kind, content[:-1])
