"""The supervisor's memory, `galph_memory.md`: one entry for each of its turns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from orchestrator.records.stamps import parse_stamp
from orchestrator.records.text import (
    Problem,
    ProblemList,
    check_same,
    find_blocks,
    shown,
    split_lines,
)

__all__ = ["ActionState", "Memory", "MemoryEntry", "parse_memory", "render_entry"]

_ID = re.compile(r"(?<![\w-])[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+(?![\w-])")
_HEADING = re.compile(r"##? (?P<stamp>\d\S*): (?P<title>\S.*)")
_BULLETS = {
    "dwell": "dwell",
    "Focus issue": "focus_issue",
    "Action type": "action_type",
    "Mode": "mode",
    "Git sync": "git_sync",
    "Documents reviewed": "documents_reviewed",
}
_BULLET = re.compile(r"- (?P<key>" + "|".join(_BULLETS) + r"):[ \t]*(?P<value>.*)")
_DWELL = re.compile(r"(?P<number>\d{1,9})(?:[ \t]+(?P<note>.*))?", re.ASCII)
_NEXT = re.compile(r"- (?P<text>Next(?: Action)?: .*)")
_STATE = re.compile(r"- <Action State>:[ \t]*(?:\[(?P<state>[^\]]*)\])?(?P<rest>.*)")
_KEY_VALUES = re.compile(r"(?:- )?focus=.*")
_KEYS = ("focus", "state", "dwell", "ralph_last_commit", "artifacts", "next_action")
_NEXT_ACTION = " next_action="
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_LOST = re.compile(r"#+[ \t]*(?:\d.*)?|- <?Action State.*|(?:- )?focus=.*|- (?:" + "|".join(_BULLETS) + r"):.*")
_RULE = "---"
_ABSENT = re.compile(r"none|n/a", re.IGNORECASE)


class ActionState(StrEnum):
    """What the supervisor says the focus is ready for."""

    PLANNING = "planning"
    GATHERING_EVIDENCE = "gathering_evidence"
    READY_FOR_IMPLEMENTATION = "ready_for_implementation"
    IMPLEMENTATION_READY = "implementation_ready"
    DEBUG = "debug"
    BLOCKED = "blocked"
    CLOSED = "closed"
    COMPLETE = "complete"


@dataclass(frozen=True)
class MemoryEntry:
    """One entry; what is absent is None, or empty for text.

    Attributes
    ----------
    timestamp, title : str
        Of the heading; the title starts with the focus and a dash.
    focus, state, ralph_last_commit, artifacts, next_action : str or None
        Of the key=value line; ``none`` and ``N/A`` are None, the `_raw` fields keep the word.
    dwell : int or None
        Of the key=value line, of the bullet when that line has none.
    focus_issue_ids : tuple of str
        The ids before the dash of `focus_issue`.
    action_state_body : str or None
        The state as the body gives it.
    next_bullet : str or None
        The bullet ``Next: …`` or ``Next Action: …`` above the state.
    body : str
        Everything that has no field of its own, without the blank lines around it.
    """

    timestamp: str
    title: str
    focus: str | None
    dwell: int | None
    state: str | None
    focus_issue: str | None = None
    focus_issue_ids: tuple[str, ...] = field(default=(), compare=False)
    dwell_note: str | None = None
    action_type: str | None = None
    mode: str | None = None
    git_sync: str | None = None
    documents_reviewed: str | None = None
    action_state_body: str | None = field(default=None, compare=False)
    ralph_last_commit: str | None = None
    ralph_last_commit_raw: str = field(default="", compare=False)
    artifacts: str | None = None
    artifacts_raw: str = field(default="", compare=False)
    next_action: str | None = None
    next_bullet: str | None = None
    body: str = ""
    line: int = field(default=0, compare=False)
    raw: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True)
class Memory:
    """The memory as read, entries in the order of the file: `preamble` is the text above the first."""

    preamble: str
    entries: tuple[MemoryEntry, ...] = ()
    problems: tuple[Problem, ...] = field(default=(), compare=False)
    path: str = field(default="galph_memory.md", compare=False)


@dataclass
class _Parts:
    """The lines of one entry, sorted by what they are: number and text each."""

    bullets: dict[str, tuple[int, str]] = field(default_factory=dict)
    next: tuple[int, str] | None = None
    state: tuple[int, str] | None = None
    key_values: tuple[int, str] | None = None
    body: list[str] = field(default_factory=list)


def _sort_lines(lines: Sequence[str], start: int, problems: ProblemList) -> _Parts:
    """Sort an entry's lines: the first of each bullet, the last `Next:` and state above the key=values."""
    numbered = list(enumerate(lines, start=start + 1))
    cut = next((index for index, line in enumerate(lines) if _KEY_VALUES.fullmatch(line)), None)
    above, below = numbered[:cut], numbered[cut + 1 :] if cut is not None else []
    parts = _Parts(key_values=numbered[cut] if cut is not None else None)
    parts.next = next((pair for pair in reversed(above) if _NEXT.fullmatch(pair[1])), None)
    parts.state = next((pair for pair in reversed(above) if _STATE.fullmatch(pair[1])), None)
    for number, line in above:
        match = _BULLET.fullmatch(line)
        if match and match["key"] not in parts.bullets:
            parts.bullets[match["key"]] = (number, match["value"])
        elif (number, line) not in {parts.next, parts.state}:
            parts.body.append(line)
            if match:
                problems.add(number, f"one {match['key']!r} in an entry", shown(line))
    rest = [(number, line) for number, line in below if line not in {"", _RULE}]
    if rest:
        problems.add(rest[0][0], "a heading '# UTC: ID — title' after the key=value line", shown(rest[0][1]))
    parts.body += [line for _, line in rest]
    while cut is None and parts.body and parts.body[-1] in {"", _RULE}:
        parts.body.pop()
    return parts


def _read_key_values(pair: tuple[int, str], problems: ProblemList) -> dict[str, str]:
    """Read `focus= state= …`; only next_action, the last, may hold spaces."""
    number, line = pair
    words, found, next_action = line.removeprefix("- ").partition(_NEXT_ACTION)
    values: dict[str, str] = {}
    for word in words.split():
        key, equals, value = word.partition("=")
        if not equals or not value or key in values:
            problems.add(number, "key=value, each key once, no spaces but in next_action", shown(word))
        else:
            values[key] = value
    if found:
        values["next_action"] = next_action.strip()
    missing = [key for key in _KEYS if not values.get(key)]
    if missing:
        problems.add(number, f"{', '.join(missing)} in the key=value line", shown(line))
    return values


def _read_dwell(parts: _Parts, start: int, problems: ProblemList) -> tuple[int | None, str | None]:
    if "dwell" not in parts.bullets:
        problems.add(start, "a line '- dwell: N (why)' in the entry", "none")
        return None, None
    number, value = parts.bullets["dwell"]
    match = _DWELL.fullmatch(value)
    if match is None:
        problems.add(number, "a number after 'dwell:'", shown(value))
        return None, value or None
    note = match["note"] or ""
    return int(match["number"]), (note[1:-1] if note.startswith("(") and note.endswith(")") else note) or None


def _read_state(parts: _Parts, start: int, problems: ProblemList) -> str | None:
    match = _STATE.fullmatch(parts.state[1]) if parts.state else None
    if match is None or parts.state is None:
        problems.add(start, "a line '- <Action State>: [state]' in the entry", "none")
        return None
    if match["state"] is None or match["rest"].strip():
        problems.add(parts.state[0], "'- <Action State>: [state]' and nothing behind it", shown(parts.state[1]))
    return match["state"] if match["state"] is not None else match["rest"].strip()


def _find_ids(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_ID.findall(text)))


def _or_none(text: str | None) -> str | None:
    return None if not text or _ABSENT.fullmatch(text) else text


def _read_entry(lines: Sequence[str], start: int, match: re.Match[str], problems: ProblemList) -> MemoryEntry:
    """Read the entry whose heading is line `start` and whose other lines are `lines`."""
    parts = _sort_lines(lines, start, problems)
    values = _read_key_values(parts.key_values, problems) if parts.key_values else {}
    if parts.key_values is None:
        problems.add(start, "a line '- focus=… state=… … next_action=…' at the end of the entry", "none")
    dwell, note = _read_dwell(parts, start, problems)
    bullets: dict[str, Any] = {
        _BULLETS[key]: text or None for key, (_, text) in parts.bullets.items() if key != "dwell"
    }
    issue, _, _ = (bullets.get("focus_issue") or "").partition(" — ")
    entry = MemoryEntry(
        timestamp=match["stamp"],
        title=match["title"].strip(),
        focus=_or_none(values.get("focus")),
        dwell=int(values["dwell"]) if _DWELL.fullmatch(values.get("dwell", "")) else dwell,
        state=_or_none(values.get("state")),
        focus_issue_ids=_find_ids(issue),
        dwell_note=note,
        action_state_body=_read_state(parts, start, problems),
        ralph_last_commit=_or_none(values.get("ralph_last_commit")),
        ralph_last_commit_raw=values.get("ralph_last_commit", ""),
        artifacts=_or_none(values.get("artifacts")),
        artifacts_raw=values.get("artifacts", ""),
        next_action=_or_none(values.get("next_action")),
        next_bullet=parts.next[1].removeprefix("- ") if parts.next else None,
        body="\n".join(parts.body).strip("\n"),
        line=start,
        **bullets,
    )
    _check_entry(entry, dwell, parts, values, problems)
    return entry


def _check_entry(
    entry: MemoryEntry, dwell: int | None, parts: _Parts, values: dict[str, str], problems: ProblemList
) -> None:
    """Note what the entry contradicts itself in; both values stay in its text."""
    if parse_stamp(entry.timestamp) is None:
        problems.add(entry.line, "a stamp such as 2026-01-15T22:58:50Z", shown(entry.timestamp))
    if parts.key_values is None:
        return
    line = parts.key_values[0]
    named = {*_find_ids(entry.title.partition(" — ")[0]), *entry.focus_issue_ids}
    focus, state = entry.focus, entry.state
    if focus and _find_ids(focus) and focus not in named:
        problems.add(line, f"focus {', '.join(sorted(named)) or 'of the heading'}, as above", shown(focus))
    if state is not None and state != entry.action_state_body:
        problems.add(line, f"state {entry.action_state_body!r}, as in <Action State>", shown(state))
    if state is not None and state not in list(ActionState):
        problems.add(line, "a state, one of " + ", ".join(ActionState), shown(state))
    if "dwell" in values and values["dwell"] != str(dwell):
        problems.add(line, f"dwell {dwell}, as in the bullet", shown(values["dwell"]))
    if entry.ralph_last_commit and not _COMMIT.fullmatch(entry.ralph_last_commit):
        problems.add(line, "a commit of 7 to 40 hex digits, or none", shown(entry.ralph_last_commit))


def parse_memory(text: str, path: str = "galph_memory.md") -> Memory:
    """Read the memory; whatever cannot be read is named in `Memory.problems`, with its line.

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
    blocks = find_blocks(bare, _HEADING.fullmatch)
    first = blocks[0][0] if blocks else len(lines) + 1
    for number, line in enumerate(bare[: first - 1], start=1):
        if _LOST.fullmatch(line):
            problems.add(number, "a heading '# UTC: ID — title' above the parts of an entry", shown(line))
    entries = tuple(
        replace(_read_entry(bare[start:end], start, match, problems), raw="".join(lines[start - 1 : end]))
        for start, end, match in blocks
    )
    problems.check_end(text)
    return Memory("".join(lines[: first - 1]), entries, problems.sorted(), path)


def render_entry(entry: MemoryEntry) -> str:
    """Write one entry from its fields; `raw` is not looked at, blank lines around the body are dropped.

    Raises
    ------
    RecordError
        The text would be read back as another entry.
    """
    entry = replace(
        entry,
        body="\n".join(line.rstrip() for line in entry.body.split("\n")).strip("\n"),
        dwell_note=entry.dwell_note or None,
    )
    dwell = "n/a" if entry.dwell is None else str(entry.dwell)
    values = {key: getattr(entry, name) for key, name in _BULLETS.items()}
    values["dwell"] = f"{dwell} ({entry.dwell_note})" if entry.dwell_note else dwell
    listed = not entry.body or entry.body.startswith("- ")
    lines = [
        f"# {entry.timestamp}: {entry.title}",
        "",
        *(f"- {key}: {value}" for key, value in values.items() if value is not None),
        *([entry.body] if entry.body and listed else []),
        *([] if listed else ["", entry.body, ""]),
        *([f"- {entry.next_bullet}"] if entry.next_bullet else []),
        f"- <Action State>: [{entry.state or 'none'}]",
        f"- focus={entry.focus or 'none'} state={entry.state or 'none'} dwell={dwell} "
        f"ralph_last_commit={entry.ralph_last_commit or 'none'} artifacts={entry.artifacts or 'N/A'} "
        f"next_action={entry.next_action or 'none'}",
    ]
    text = "\n".join(lines) + "\n"
    again = parse_memory(text).entries
    check_same(entry, again[0] if len(again) == 1 else None, f"memory entry {entry.timestamp}")
    return text
