"""The texts that make claims: entries of a memory, attempts of a ledger, turns of a summary, notes in a hub."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from orchestrator.audit.trees import Tree, hub_of
from orchestrator.records.foreign.document import Foreign, Piece
from orchestrator.records.foreign.entries import read_memory, read_summary
from orchestrator.records.foreign.items import read_ledger
from orchestrator.records.foreign.words import STAMP, plain

__all__ = ["Passage", "named_hubs", "read_passages"]

_Hub = tuple[str, str]

_PATH = re.compile(r"(?<![\w./:+-])[\w.-]+(?:/[\w.:+-]+)+")
_NEXT = re.compile(r"\bnext(?:[_ ]actions?|[_ ]steps?)?\**\s?[:=].*?(?=\bArtifacts?:|\bMetrics:|$)", re.IGNORECASE)
_FENCE = re.compile(r"\s*(?:```|~~~)")
_SHOWN = re.compile(
    r"\b\d+\s(?:tests?\s+)?(?:passed|failed|collected)\b|\.(?:log|txt|xml|json)\b.*\(.*\d+\s*/\s*\d+", re.IGNORECASE
)
_STAMP = re.compile(STAMP)
_TESTED = re.compile(r"(?:^|/)(?:tests?|fixtures|testdata)/")


@dataclass(frozen=True)
class Passage:
    """One text by one hand at one time.

    Attributes
    ----------
    hubs : tuple
        The hubs it names, each by item and stamp; its own place, where it lies in one.
    piece : Piece or None
        An entry of a memory, as it was read.
    shown : frozenset of int
        The lines that stand in a code block.
    """

    path: str
    kind: str
    lines: tuple[tuple[int, str], ...]
    hubs: tuple[_Hub, ...] = ()
    stamp: str = ""
    piece: Piece | None = None
    shown: frozenset[int] = frozenset()

    @property
    def text(self) -> str:
        """All lines, one below the other."""
        return "\n".join(line for _, line in self.lines)


def named_hubs(text: str, item: str) -> tuple[_Hub, ...]:
    """Return the hubs that a text names; one without an item is of `item`."""
    found = [hub_of(match[0].rstrip(".:")) for match in _PATH.finditer(plain(text))]
    return tuple(dict.fromkeys((hub[0] or item, hub[1]) for hub in found if hub))


def _prose(lines: list[tuple[int, str]]) -> tuple[tuple[tuple[int, str], ...], frozenset[int]]:
    """Return lines without what is to come, and which of them stand in a code block: those with counts of tests."""
    kept, shown, fenced = [], set(), False
    for number, line in lines:
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            kept.append((number, _NEXT.sub(" ", line)))
        elif _SHOWN.search(line):
            kept.append((number, line.lstrip(" #")))
            shown.add(number)
    return tuple(kept), frozenset(shown)


def _passage(path: str, kind: str, piece: Piece, lines: list[tuple[int, str]], here: tuple[_Hub, ...]) -> Passage:
    text = "\n".join(line for _, line in lines)
    item = piece.ids[-1] if piece.ids else PurePosixPath(path).parent.name
    stamp = piece.stamp or (found[0] if (found := _STAMP.search(text[:80])) else "")
    owned = piece if kind == "memory" else None
    prose, shown = _prose(lines)
    return Passage(path, kind, prose, (*named_hubs(text, item), *here), stamp, owned, shown)


def _numbered(text: str, first: int) -> list[tuple[int, str]]:
    return [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), first)]


def _note(path: str, text: str, here: tuple[_Hub, ...]) -> Passage:
    prose, shown = _prose(_numbered(text, 1))
    return Passage(path, "note", prose, (*here, *named_hubs(text, "")), shown=shown)


def _by_pieces(path: str, kind: str, found: Foreign, here: tuple[_Hub, ...]) -> Iterator[Passage]:
    for piece in found.pieces:
        yield _passage(path, kind, piece, _numbered(piece.raw.rstrip("\n"), piece.line), here)


def _by_attempts(path: str, found: Foreign) -> Iterator[Passage]:
    """Yield each attempt of a ledger; a section that has a stamp is one too."""
    for piece in found.pieces:
        attempts = [each for each in piece.fields if each.name == "attempt"]
        if piece.stamp and not attempts:
            yield _passage(path, "ledger", piece, _numbered(piece.raw.rstrip("\n"), piece.line), ())
        for each in attempts:
            yield _passage(path, "ledger", Piece(each.line, ids=piece.ids), _numbered(each.value, each.line), ())


def _kind(path: str, *, in_hub: bool) -> str:
    name = path.rpartition("/")[2].lower()
    if in_hub:
        return "summary" if name == "summary.md" else "note"
    for kind, words in (("memory", ("memory",)), ("ledger", ("fix_plan", "ledger")), ("summary", ("summary",))):
        if any(word in name for word in words):
            return kind
    return ""


def read_passages(tree: Tree, *, only: str | None = None) -> Iterator[Passage]:
    """Yield everything in a tree that makes claims.

    Parameters
    ----------
    only
        The one document that was asked for, whatever its name.
    """
    readers: dict[str, Callable[[str, str], Foreign]] = {"memory": read_memory, "summary": read_summary}
    for path in [only] if only else [path for path in tree.files if path.endswith(".md") and not _TESTED.search(path)]:
        own = tree.hub(path)
        here = (own,) if own else ()
        kind = _kind(path, in_hub=bool(own)) or ("memory" if only else "")
        text = tree.text(path) if kind else None
        if text is None:
            continue
        if kind == "ledger":
            yield from _by_attempts(path, read_ledger(text, path))
            continue
        found = readers[kind](text, path) if kind in readers else None
        if found and found.pieces:
            if here and found.preamble.strip():
                yield _note(path, found.preamble, here)
            yield from _by_pieces(path, kind, found, here)
        elif here or only:
            yield _note(path, text, here)
