"""A foreign document as pieces that keep their bytes, and every value of a contradiction with its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from orchestrator.records.foreign.words import WORDS, canonical, contradict, find_foreign_ids, word_and_note
from orchestrator.records.text import Problem, ProblemList, shown, split_lines, strip_code

__all__ = ["Contradiction", "Field", "Foreign", "Piece", "Reader"]

_COMPARED = WORDS | {"action_type", "artifacts", "branch", "focus", "mode", "ralph_last_commit", "section"}
_LABELS = (
    "focus issue|selected focus|focus|dwell count|dwell|action type|actiontype|mode|action state|git sync|goals?|"
    "documents reviewed|docs reviewed|artifacts|artifact path|ralph last commit|next actions?|next|measured|status|"
    "depends on|dependencies|priority|owner/date|owner|working plan|reports hub|exit criteria|return conditions?|"
    "attempts history|attempts|prereqs|run|test|expect|recheck|needs|date|keywords|synopsis|evidence pointer|evidence"
)
# `Key:` in all its dress, at the start of a line or behind `;`, `|` or a gap with a bullet.
_LABEL = re.compile(
    r"(?:\A ?(?:[-*•+] +|\d{1,3}[.)] +)?|(?!\A)[;|] ?|(?<=\S) {2,8}[-*] )(?=[*_`<A-Za-z])[*_`]{0,3}<?(?P<key>"
    + _LABELS
    + r")>?"
    r"(?: ?\([^()]{0,80}\))?[*_`]{0,3} ?[:=][*_`]{0,3}(?![:=])",
    re.IGNORECASE,
)
_FENCE = re.compile(r"[ \t]*(?:[-*] )?(?P<mark>`{3,}|~{3,})(?P<info>[^`]*)")
_NUMBERED = re.compile(r"(?:[^\n]{0,60}?\bAttempt #?|\W{0,4}#)(\d{1,6})\b")
_LISTED = re.compile(r"[-*•+] |\d{1,3}[.)] ")


@dataclass(frozen=True)
class Field:
    """One value under its canonical name; `note`: what stands behind a single word, the number of an attempt."""

    name: str
    value: str
    line: int
    note: str = ""


@dataclass(frozen=True)
class Piece:
    """One entry, item, section, row or finding: lines `line` to `end`, and their `raw` text.

    Attributes
    ----------
    stamp : str
        As written: it may be no time at all.
    text : tuple of (int, str)
        The lines that gave no field, with their numbers.
    """

    line: int
    heading: str = ""
    stamp: str = ""
    ids: tuple[str, ...] = ()
    title: str = ""
    end: int = 0
    fields: tuple[Field, ...] = ()
    text: tuple[tuple[int, str], ...] = ()
    raw: str = field(default="", repr=False)

    def values(self, name: str) -> tuple[str, ...]:
        """Return every value of a field, in the order of the file."""
        return tuple(each.value for each in self.fields if each.name == name)


@dataclass(frozen=True)
class Contradiction:
    """One thing that a document says in several ways."""

    name: str
    values: tuple[Field, ...]

    def as_problem(self, path: str) -> Problem:
        """Return it as a problem on the line of its last value."""
        first, last = self.values[0], self.values[-1]
        return Problem(path, last.line, f"{self.name} {shown(first.value)}, as in line {first.line}", shown(last.value))


@dataclass(frozen=True)
class Foreign:
    """The document as read: `preamble` and the pieces' `raw`, joined, are the text."""

    kind: str
    preamble: str
    pieces: tuple[Piece, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    problems: tuple[Problem, ...] = ()
    path: str = ""


class Reader:
    """Cuts a document into pieces; its caller says where one starts and which lines hold fields.

    Attributes
    ----------
    head : Piece or None
        The piece that is being read, with what its first line gave.
    level : int
        How many marks its heading has, 0 without one.
    """

    def __init__(self, text: str, path: str) -> None:
        self.path = path
        self.lines = split_lines(text)
        self.problems = ProblemList(path)
        self.problems.check_end(text)
        self.head: Piece | None = None
        self.level = 0
        self._pieces: list[Piece] = []
        self._values: list[tuple[str, int, list[str]]] = []
        self._text: list[tuple[int, str]] = []
        self._open = False  # whether the next line may continue the last value
        self._depth = 0

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Yield number and text of every line that stands in no code block; the others are kept as text."""
        bare = [line.rstrip() for line in self.lines]
        bare[:1] = [line.removeprefix("\ufeff") for line in bare[:1]]
        hidden: set[int] = set()
        begun, mark = 0, ""
        for number, line in enumerate([*bare, "```end"], start=1):
            match = _FENCE.fullmatch(line)
            if match and begun and match["mark"].startswith(mark) and not match["info"].strip():
                hidden.update(range(begun, number + 1))
                begun = 0
            elif match and (not begun or match["mark"].startswith(mark) or number > len(bare)):
                if begun:  # a block that is never closed hides nothing
                    self.problems.add(begun, f"a line {mark} that closes the code block", "none")
                begun, mark = number, match["mark"]
        for number, line in enumerate(bare, start=1):
            if number in hidden:
                self.keep(number, line)
            else:
                yield number, line

    def has(self, name: str) -> bool:
        """Whether the piece has this field."""
        return any(name == each for each, _, _ in self._values)

    def start(self, head: Piece, level: int = 0) -> None:
        """Begin a piece; the one before it ends above its line."""
        self._close(head.line - 1)
        self.head, self.level = head, level

    def add(self, number: int, name: str, text: str) -> None:
        """Give the piece a field, which the next lines may continue."""
        self._values.append((name, number, [text.strip()]))
        self._open = name not in WORDS

    def read(self, number: int, line: str) -> None:
        """Take in a line: as fields, as the rest of the field above it, or as text."""
        text = line if self.level else line.lstrip()
        matches = list(_LABEL.finditer(text)) if ":" in text or "=" in text else []
        if self.head is None or not matches or matches[0].start() > 0:
            self.keep(number, line)
            return
        for match, end in zip(matches, [*(each.start() for each in matches[1:]), len(text)], strict=True):
            self.add(number, canonical(match["key"]), text[match.end() : end])

    def keep(self, number: int, line: str) -> None:
        """Take in a line that is no field of its own."""
        name, begun, parts = self._values[-1] if self._open else ("", 0, [""])
        listed, depth = _LISTED.match(line.lstrip()), len(line) - len(line.lstrip())
        # Below a bare `Goals:` a list stands unindented; below `- Goals:` it does not.
        below = listed and not parts[0] and not _LISTED.match(self.lines[begun - 1])
        if not self._open or (line and not depth and not below):
            self._open = False
            if self.head is not None and line:
                self._text.append((number, self.lines[number - 1].rstrip("\r\n")))
        elif listed and (name == "attempts" or (name == "attempt" and depth <= self._depth)):
            self._depth = depth
            self.add(number, "attempt", line.lstrip()[listed.end() :])
        else:
            parts.append(line)

    def _close(self, end: int) -> None:
        if self.head is not None:
            fields = tuple(_field(*value) for value in self._values)
            raw = "".join(self.lines[self.head.line - 1 : end])
            self._pieces.append(replace(self.head, end=end, fields=fields, text=tuple(self._text), raw=raw))
        self._values, self._text, self._open = [], [], False

    def finish(self, kind: str, last: str, about: Callable[[Piece], str]) -> Foreign:
        """Turn what was read into records.

        Parameters
        ----------
        last : str
            The field that ends a piece: where only the last piece lacks it, the file was cut short.
        about : callable
            Names what a piece is about: what two pieces say about one thing has to agree.
        """
        self._close(len(self.lines))
        pieces = tuple(self._pieces)
        if len(pieces) > 1 and pieces[-2].values(last) and not pieces[-1].values(last):
            self.problems.add(pieces[-1].end, f"a {last} in the last piece, as in the one above it", "the end")
        preamble = "".join(self.lines[: pieces[0].line - 1] if pieces else self.lines)
        found = tuple(_contradictions(pieces, about))
        return Foreign(kind, preamble, pieces, found, self.problems.sorted(), self.path)


def _field(name: str, line: int, parts: list[str]) -> Field:
    if name in WORDS:
        word, note = word_and_note(parts[0])
        return Field(name, word, line, note)
    numbered = _NUMBERED.match(parts[0]) if name == "attempt" else None
    return Field(name, strip_code("\n".join(parts).strip("\n")), line, f"#{numbered[1]}" if numbered else "")


def _contradictions(pieces: Iterable[Piece], about: Callable[[Piece], str]) -> Iterator[Contradiction]:
    """Yield what is given several values for one thing: a heading's ids are a focus, one thing has one section."""
    groups: dict[tuple[str, str], list[Field]] = {}
    for piece in pieces:
        heading = (Field("focus", piece.heading, piece.line), Field("section", piece.heading, piece.line))
        for each in (*(heading if find_foreign_ids(piece.heading) else ()), *piece.fields):
            name = f"attempt {each.note}" if each.name == "attempt" and each.note else each.name
            if name in _COMPARED or name != each.name:
                groups.setdefault((about(piece), name), []).append(each)
    for (_, name), values in groups.items():
        if contradict(name, [value.value for value in values]):
            yield Contradiction(name, tuple(values))
