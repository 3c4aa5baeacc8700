"""One row of a plan: what is to be done, what a machine can run for it, and what must hold afterwards."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.records.text import ProblemList, read_field, shown, strip_code

__all__ = [
    "MARKS",
    "TICKS",
    "Expectation",
    "OpenRow",
    "Row",
    "RowState",
    "comma_list",
    "is_entry",
    "parse_expectation",
    "wrong_command",
]

_EXPECTATION = re.compile(
    r"(?P<file>[^:\s]+)(?::(?P<key>\S+))?\s+(?:(?P<exists>exists)|(?P<op><=|>=|==|<|>)\s+(?P<value>\S.*))"
)
_LIMIT = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*(s|min|h)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_SINGLE = frozenset({"Run", "Test", "Recheck", "Limit", "Stochastic", "Hypothesis"})
_MANY = frozenset({"Expect", "Needs", "Allow-skip", "Implement"})
_KEYS = ", ".join(sorted(_SINGLE | _MANY))
_NEED_A_COMMAND = ("Expect", "Needs", "Limit")
_PLACEHOLDERS = ("{hub}", "{artifacts}")
# What quotes hide from a shell; double quotes around a plain word hide nothing, there or here.
_QUOTED = re.compile(r"""'[^']*'|"(?![\w./{}=:-]*")(?:\\.|[^"\\])*"|\\.""", re.DOTALL)
_SHELL = re.compile(r"[|<>;`]|&&|\$\(|(?<!\S)&(?!\S)")
_PLACEHOLDER = re.compile(r"\{[A-Za-z_]\w*\}")


class RowState(StrEnum):
    """What a row's box says."""

    OPEN = "open"
    PARTIAL = "partial"
    DONE = "done"


MARKS = {" ": RowState.OPEN, "P": RowState.PARTIAL, "~": RowState.PARTIAL} | dict.fromkeys("xXD", RowState.DONE)
TICKS = {RowState.OPEN: " ", RowState.PARTIAL: "P", RowState.DONE: "x"}


@dataclass(frozen=True)
class Expectation:
    """One `Expect:`: a file of the row's output folder, a dotted key in it, a comparison.

    Attributes
    ----------
    file : str
        Relative to the row's output folder.
    key : str
        Dotted path into the JSON file; empty when the file itself is meant.
    op : str
        One of ``<= >= == < > exists``.
    value : str or None
        What the key is compared with, as written; None for ``exists``.
    """

    file: str
    key: str
    op: str
    value: str | None


@dataclass(frozen=True)
class Row:
    """One row of a phase's checklist.

    Attributes
    ----------
    run, test, recheck : str or None
        Commands; `test` is a selector, with or without the word pytest in front.
    expects : tuple of str
        As written, also those that cannot be read: they never hold.
    limit_s : float or None
        Wall-clock limit in seconds.
    needs : tuple of str
        Ids of rows, and ``dataset:<name>``.
    hypothesis : str or None
        What is to be found out: the row is verified when its expectations can be compared, whether they hold or not.
    allow_skip, implement : tuple of str
        ``node — reason`` and ``path::symbol — what``.
    """

    id: str
    phase: str
    text: str
    state: RowState = RowState.OPEN
    run: str | None = None
    test: str | None = None
    expects: tuple[str, ...] = ()
    recheck: str | None = None
    limit_s: float | None = None
    needs: tuple[str, ...] = ()
    allow_skip: tuple[str, ...] = ()
    stochastic: bool = False
    hypothesis: str | None = None
    implement: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)

    @property
    def is_runnable(self) -> bool:
        """Whether a machine can run it: it has a `Run:` or a `Test:`."""
        return bool(self.run or self.test)


def parse_expectation(text: str) -> Expectation | None:
    """Read ``file:key op value``, ``file:key exists`` or ``file exists``.

    Returns
    -------
    Expectation or None
        None when the text has another form, or names a file outside the row's folder.
    """
    match = _EXPECTATION.fullmatch(strip_code(text.strip()))
    if match is None or match["file"].startswith("/") or ".." in match["file"].split("/"):
        return None
    if match["op"] and not match["key"]:
        return None
    return Expectation(match["file"], match["key"] or "", match["op"] or match["exists"], match["value"])


def is_entry(line: str) -> bool:
    """Whether the line is a `Run:`, an `Expect:` or another entry of a row."""
    entry = read_field(line)
    return entry is not None and entry[0] in _SINGLE | _MANY


def comma_list(text: str) -> list[str]:
    """Return the parts of `text` between commas, without blanks and back-ticks."""
    return [strip_code(part.strip()) for part in text.split(",") if part.strip()]


@dataclass
class OpenRow:
    """A row whose entries are still being read; `line` is the number of its first line."""

    line: int
    id: str
    mark: str
    text: list[str]
    _entries: dict[str, list[str]] = field(default_factory=dict)

    def read(self, number: int, line: str, problems: ProblemList) -> None:
        """Take in line `number`: the rest of the row's text, or one of its entries."""
        entry = read_field(line)
        if entry is None and not self._entries:
            self.text.append(line.strip())
        elif entry is None or not is_entry(line) or not entry[1]:
            problems.add(number, f"one of {_KEYS}, with a value", shown(line))
        elif entry[0] in _SINGLE and entry[0] in self._entries:
            problems.add(number, f"one {entry[0]} in row {self.id!r}", shown(line))
        else:
            self._entries.setdefault(entry[0], []).append(entry[1])
            _check_entry(number, *entry, problems)

    def close(self, phase: str, problems: ProblemList) -> Row:
        """Return the row as a record."""
        if self.mark not in MARKS:
            problems.add(self.line, "a state [ ], [P] or [x]", f"[{self.mark}]")
        if not {"Run", "Test"} & self._entries.keys() and any(key in self._entries for key in _NEED_A_COMMAND):
            problems.add(self.line, "a `Run:` or a `Test:` in the row", f"only {', '.join(self._entries)}")
        if "Recheck" in self._entries and "Run" not in self._entries:
            problems.add(self.line, "a `Run:` beside `Recheck:`", f"only {', '.join(self._entries)}")
        if "Hypothesis" in self._entries and not {"Run", "Expect"} <= self._entries.keys():
            problems.add(self.line, "a `Run:` and an `Expect:` that decide the hypothesis", ", ".join(self._entries))
        return Row(
            id=self.id,
            phase=phase,
            text=" ".join(filter(None, self.text)),
            state=MARKS.get(self.mark, RowState.OPEN),
            run=self._one("Run"),
            test=self._one("Test"),
            expects=self._many("Expect"),
            recheck=self._one("Recheck"),
            limit_s=_seconds(self._one("Limit") or ""),
            needs=tuple(need for value in self._entries.get("Needs", ()) for need in comma_list(value)),
            allow_skip=self._many("Allow-skip"),
            stochastic=self._one("Stochastic") == "yes",
            hypothesis=self._one("Hypothesis"),
            implement=self._many("Implement"),
            line=self.line,
        )

    def _one(self, key: str) -> str | None:
        return next(iter(self._many(key)), None)

    def _many(self, key: str) -> tuple[str, ...]:
        return tuple(strip_code(value) for value in self._entries.get(key, ()))


def _check_entry(number: int, key: str, value: str, problems: ProblemList) -> None:
    if key in {"Run", "Test", "Recheck"}:
        expected, found = wrong_command(key, strip_code(value))
        if expected:
            problems.add(number, expected, found)
    elif key == "Expect" and parse_expectation(value) is None:
        form = "'file.json:key op value' with op one of <= >= == < >, or 'file exists'"
        problems.add(number, form, shown(value))
    elif key == "Limit" and _seconds(value) is None:
        problems.add(number, "a limit such as '90 s', '5 min' or '1 h'", shown(value))
    elif key == "Stochastic" and value not in {"yes", "no"}:
        problems.add(number, "yes or no", shown(value))


def wrong_command(key: str, command: str) -> tuple[str, str]:
    """Return what was expected of a command and what stands there instead; two empty texts when it is right.

    Without a shell, a pipe would be an argument of the first program, which may well end with exit code 0.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        return f"a command in {key} that can be split into words", f"{shown(command)}: {error}"
    bare = _QUOTED.sub("_", command)
    sign = _SHELL.search(bare) or next(filter(None, (re.match(r"\$\(|`", word) for word in words)), None)
    if sign:
        cure = "put pipes and the like into a script, or quote what is meant literally"
        return f"a command without a shell in {key} ({cure})", f"{sign[0]!r} in {shown(command)}"
    known = _PLACEHOLDERS if key in {"Run", "Recheck"} else ()
    unknown = next((name for name in _PLACEHOLDER.findall(bare) if name not in known), "")
    if unknown:
        told = f"known are {', '.join(known)}" if known else "they are for Run"
        return f"no other placeholders in {key}: {told}", f"{unknown} in {shown(command)}"
    return "", ""


def _seconds(text: str) -> float | None:
    match = _LIMIT.fullmatch(text)
    return (float(match[1]) * _SECONDS[match[2]] or None) if match else None
