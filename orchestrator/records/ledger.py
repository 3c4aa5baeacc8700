"""The ledger of items, `docs/fix_plan.md`: what is to be done, in which order, and what was tried."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import lru_cache

from orchestrator.errors import RecordError
from orchestrator.records.conditions import wrong_condition
from orchestrator.records.items import (
    ATTEMPTS,
    KEYS,
    PATH_FIELDS,
    REQUIRED,
    TEXT_FIELDS,
    Attempt,
    Item,
    Kind,
    Priority,
    Status,
    attempt_line,
    item_lines,
    parse_attempt,
    path_text,
    status_text,
)
from orchestrator.records.stamps import parse_stamp
from orchestrator.records.text import (
    Problem,
    ProblemList,
    check_same,
    find_blocks,
    is_id,
    on_one_line,
    read_field,
    shown,
    split_lines,
    strip_code,
    value_or_none,
)

__all__ = [
    "Attempt",
    "Item",
    "Kind",
    "Ledger",
    "Priority",
    "Status",
    "parse_ledger",
    "render_item",
    "with_attempt",
    "with_priority",
    "with_reports_hub",
    "with_status",
    "without_attempts",
]

_ITEM = re.compile(r"### \[(?P<id>[^\]\s]+)\] (?P<title>\S.*)")
_LIMITS = re.compile(r"(\d{1,3})/(\d{1,3})/(\d{1,3})", re.ASCII)
_HEADING = re.compile(r"#{1,3}(?:[ \t].*)?")


@dataclass(frozen=True)
class Ledger:
    """The ledger as read: `preamble` is the text above the first item."""

    preamble: str
    items: tuple[Item, ...] = ()
    problems: tuple[Problem, ...] = field(default=(), compare=False)
    path: str = field(default="docs/fix_plan.md", compare=False)

    def item(self, item_id: str) -> Item:
        """Return the first item with this id, RecordError when there is none."""
        for item in self.items:
            if item.id == item_id:
                return item
        names = ", ".join(item.id for item in self.items) or "none"
        raise RecordError(f"{self.path}: expected an item {item_id!r}, the ledger has {names}")


@dataclass
class _Field:
    """One field of an item while it is read: the numbers of its first and last line, and its lines."""

    line: int
    value: str
    end: int
    more: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The value with its continuation lines, two spaces of indentation taken off."""
        lines = [self.value, *(line.removeprefix("  ").rstrip() for line in self.more)]
        return "\n".join(lines).strip("\n")


def _scan(lines: Sequence[str], start: int, problems: ProblemList) -> dict[str, _Field]:
    """Find the fields of the item whose heading is line `start` (from 1)."""
    found: dict[str, _Field] = {}
    current: _Field | None = None
    for number in range(start + 1, len(lines) + 1):
        line = lines[number - 1].rstrip()
        if _HEADING.fullmatch(line):
            break
        entry = read_field(line) if line.startswith("- ") else None
        if not line or line[0] in " \t":
            if current is not None:
                current.more.append(line)
                current.end = number if line else current.end
        elif entry is None or entry[0] not in KEYS:
            current = None
            if line.startswith(("- ", "#")):
                problems.add(number, "a field, one of " + ", ".join(KEYS), shown(line))
        elif entry[0] in found:
            current = None
            problems.add(number, f"one {entry[0]!r} per item, or a heading '### [ID] Title' above it", shown(line))
        else:
            current = found[entry[0]] = _Field(number, entry[1], number)
    return found


def _choice(found: dict[str, _Field], key: str, words: Sequence[str], problems: ProblemList) -> tuple[str, str]:
    """Read a word of `words` and the note behind it; the word is empty when it is missing or not one of them."""
    if key not in found:
        return "", ""
    word, _, note = found[key].text.replace("\n", " ").partition(" ")
    word, note = word.strip("*`"), note.strip().removeprefix("—").strip()
    if word.lower() not in [known.lower() for known in words]:
        problems.add(found[key].line, f"a {key.lower()}, one of " + ", ".join(words), shown(word))
        return "", note
    return word.lower(), note


def _depends(entry: _Field, problems: ProblemList) -> tuple[str, ...]:
    if value_or_none(entry.text) is None:
        return ()
    words = tuple(strip_code(word.strip()) for word in entry.text.replace("\n", ",").split(",") if word.strip())
    for word in words:
        if not is_id(word):
            problems.add(entry.line, "ids separated by commas, or None", shown(word))
    return words


def _dwell_limits(entry: _Field, problems: ProblemList) -> tuple[int, ...]:
    match = _LIMITS.fullmatch(entry.text)
    limits = tuple(map(int, match.groups())) if match else ()
    if 0 < len(set(limits)) == len(limits) and list(limits) == sorted(limits) and limits[0] > 0:
        return limits
    problems.add(entry.line, "three growing numbers of iterations such as 3/5/8", shown(entry.text))
    return ()


def _check_conditions(item: Item, problems: ProblemList) -> None:
    for condition in item.conditions:
        expected, found = wrong_condition(condition)
        if expected:
            problems.add(item.line_of("Return Condition"), expected, found)


def _attempts(entry: _Field, problems: ProblemList) -> tuple[Attempt, ...]:
    """Read the list below the field; a line that starts no attempt continues the one above it."""
    joined: list[tuple[int, str]] = []
    for number, line in enumerate(entry.more, start=entry.line + 1):
        if line.startswith("  - "):
            joined.append((number, line))
        elif line and joined:
            joined[-1] = (joined[-1][0], f"{joined[-1][1]} {line.strip()}")
    attempts = [(number, line, parse_attempt(line)) for number, line in joined]
    for number, line, attempt in attempts:
        if attempt is None or parse_stamp(attempt.stamp) is None or "- *" in attempt.text:
            problems.add(number, "an attempt '- *2026-01-15T22:58:50Z (what):* text'", shown(line))
    return tuple(attempt for _, _, attempt in attempts if attempt is not None)


def _read_item(lines: Sequence[str], start: int, match: re.Match[str], problems: ProblemList) -> Item:
    found = _scan(lines, start, problems)
    if not is_id(match["id"]):
        problems.add(start, "an id such as RECON-SIEMENS-STAR-001", shown(match["id"]))
    for key in REQUIRED:
        if key not in found:
            problems.add(start, f"a line '- {key}: …' in item {match['id']!r}", "none")
    status, note = _choice(found, "Status", [status.value for status in Status], problems)
    priority, _ = _choice(found, "Priority", [level.label for level in reversed(Priority)], problems)
    kind, _ = _choice(found, "Kind", [kind.value for kind in Kind], problems)
    texts = {key: entry.text for key, entry in found.items()}
    return Item(
        match["id"],
        match["title"].strip(),
        depends_on=_depends(found["Depends on"], problems) if "Depends on" in found else (),
        priority=Priority[priority.upper()] if priority else Priority.LOW,
        status=Status(status) if status else Status.BLOCKED,
        status_note=note,
        kind=Kind(kind) if kind else Kind.CODE,
        dwell_limits=_dwell_limits(found["Dwell Limits"], problems) if "Dwell Limits" in found else (),
        **{name: texts.get(key, "") for key, name in TEXT_FIELDS.items()},
        **{name: value_or_none(texts.get(key, "")) or "" for key, name in PATH_FIELDS.items()},
        attempts=_attempts(found[ATTEMPTS], problems) if ATTEMPTS in found else (),
        line=start,
    )


def _check_outside(lines: Sequence[str], first: int, last: int, problems: ProblemList) -> None:
    """Lines `first` to `last` stand outside every item: what could be the rest of one leaves a problem."""
    for number in range(first, last + 1):
        line = lines[number - 1]
        entry = read_field(line) if line.startswith("- ") else None
        if line.startswith("###") or (line and not line.strip("# \t")):
            problems.add(number, "a heading '### [ID] Title'", shown(line))
        elif entry and entry[0] in KEYS:
            problems.add(number, "a heading '### [ID] Title' above the fields of an item", shown(line))


@lru_cache(maxsize=8)  # every edit reads what it edits and what comes of it: mostly texts that were just read
def parse_ledger(text: str, path: str = "docs/fix_plan.md") -> Ledger:
    """Read the ledger; whatever cannot be read is named in `Ledger.problems`, with its line.

    Parameters
    ----------
    text : str
        The whole file.
    path : str
        Named in the problems.
    """
    problems = ProblemList(path)
    lines = split_lines(text)
    bare = [line.rstrip() for line in lines]
    blocks = find_blocks(bare, _ITEM.fullmatch)
    first = blocks[0][0] if blocks else len(lines) + 1
    _check_outside(bare, 1, first - 1, problems)
    items: list[Item] = []
    seen: set[str] = set()
    for start, end, match in blocks:
        item = _read_item(bare, start, match, problems)
        if item.id in seen:
            problems.add(start, "each id once", f"a second item {item.id!r}")
        seen.add(item.id)
        items.append(replace(item, raw="".join(lines[start - 1 : end])))
        _check_conditions(items[-1], problems)
        closed = (n for n in range(start + 1, end + 1) if _HEADING.fullmatch(bare[n - 1]))
        _check_outside(bare, next(closed, end + 1), end, problems)
    problems.check_end(text)
    return Ledger("".join(lines[: first - 1]), tuple(items), problems.sorted(), path)


def render_item(item: Item) -> str:
    """Write one item from its fields; `raw` is not looked at.

    Raises
    ------
    RecordError
        The text would be read back as another item.
    """
    text = "\n".join(item_lines(item)) + "\n"
    again = parse_ledger(text)
    check_same(item, again.items[0] if len(again.items) == 1 else None, f"item {item.id}")
    return text


def _replace_field(text: str, edited: Item, key: str, value: str) -> str:
    """Write `value` into the item's field `key`, added below its other fields if it is missing."""
    lines = split_lines(text)
    found = _scan(lines, edited.line, ProblemList(""))
    end_of_line = "\r\n" if lines[edited.line - 1].endswith("\r\n") else "\n"
    line = f"- {key}: {value}".rstrip() + end_of_line
    if key in found:
        lines[found[key].line - 1 : found[key].end] = [line]
        return "".join(lines)
    return _insert(lines, max([edited.line, *(entry.end for entry in found.values())]), line)


def _insert(lines: list[str], after: int, line: str) -> str:
    if not lines[after - 1].endswith("\n"):
        lines[after - 1] += "\n"
    return "".join([*lines[:after], line, *lines[after:]])


def _checked(before: Ledger, edited: Item, text: str) -> str:
    """Return `text` if it differs from the ledger `before` in the item `edited` only."""
    after = parse_ledger(text, before.path)
    check_same(edited, after.item(edited.id), f"{before.path}: item {edited.id}")
    items = tuple(edited if item.line == edited.line else item for item in before.items)
    check_same(replace(before, items=items), after, before.path)
    return text


def _with_field(text: str, item_id: str, key: str, value: str, **changes: object) -> str:
    """Write `value` into an item's field `key`, which is read back as `changes` of the item and nothing else."""
    ledger = parse_ledger(text)
    edited = replace(ledger.item(item_id), **changes)  # type: ignore[arg-type]
    return _checked(ledger, edited, _replace_field(text, edited, key, value))


def with_status(text: str, item_id: str, status: Status, note: str = "") -> str:
    """Set an item's status and its note, line breaks in it made spaces; every other line keeps its bytes.

    Raises
    ------
    RecordError
        There is no such item, or the note would be read back as something else.
    """
    note = on_one_line(note)
    return _with_field(text, item_id, "Status", status_text(status, note), status=status, status_note=note)


def with_priority(text: str, item_id: str, priority: Priority) -> str:
    """Set an item's priority; every other line keeps its bytes.

    Raises
    ------
    RecordError
        There is no such item.
    """
    return _with_field(text, item_id, "Priority", f"**{priority.label}**", priority=priority)


def with_reports_hub(text: str, item_id: str, hub: str) -> str:
    """Set an item's reports hub (empty: none); every other line keeps its bytes.

    Raises
    ------
    RecordError
        There is no such item, or the path does not fit on a line.
    """
    hub = strip_code(hub)
    return _with_field(text, item_id, "Reports Hub", path_text(hub), reports_hub=hub)


def with_attempt(text: str, item_id: str, attempt: Attempt) -> str:
    """Add an attempt as the last of the item's history, line breaks in it made spaces.

    Every other line keeps its bytes.

    Raises
    ------
    RecordError
        There is no such item, or a part of the attempt would be read back as another part.
    """
    ledger = parse_ledger(text)
    attempt = Attempt(*(on_one_line(part) for part in astuple(attempt)))
    item = ledger.item(item_id)
    if ATTEMPTS not in _scan(split_lines(text), item.line, ProblemList("")):
        text = _replace_field(text, item, ATTEMPTS, "")
    lines = split_lines(text)
    end = _scan(lines, item.line, ProblemList(""))[ATTEMPTS].end
    edited = replace(item, attempts=(*item.attempts, attempt))
    end_of_line = "\r\n" if lines[item.line - 1].endswith("\r\n") else "\n"
    return _checked(ledger, edited, _insert(lines, end, attempt_line(attempt) + end_of_line))


def without_attempts(text: str, item_id: str, *, kept: int, excess: int) -> tuple[str, str]:
    """Take the oldest attempts out of an item's history, and return the ledger without them, and their lines.

    Parameters
    ----------
    kept
        So many of the newest stay.
    excess
        No more are taken once they have so many bytes together.
    """
    lines = split_lines(text)
    history = _scan(lines, parse_ledger(text).item(item_id).line, ProblemList("")).get(ATTEMPTS)
    span = range(history.line + 1, history.end + 1) if history else ()
    starts = [number for number in span if lines[number - 1].startswith("  - ")]
    if len(starts) <= kept:
        return text, ""
    end = first = starts[0]
    for number in starts[1 : len(starts) - kept + 1]:
        if len("".join(lines[first - 1 : end - 1]).encode()) < excess:
            end = number
    return "".join(lines[: first - 1] + lines[end - 1 :]), "".join(lines[first - 1 : end - 1])
