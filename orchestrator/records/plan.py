"""The plan of an item: phases, rows, and in each row what a machine can run and check."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.errors import RecordError
from orchestrator.records.text import (
    Problem,
    ProblemList,
    check_same,
    read_field,
    shown,
    split_lines,
    strip_code,
    table_cells,
)

__all__ = [
    "Expectation",
    "Phase",
    "Plan",
    "Row",
    "RowState",
    "parse_expectation",
    "parse_plan",
    "render_plan",
    "with_ticks",
]

_PHASE = re.compile(r"##[ \t]+Phase[ \t]+(?P<letter>\S+?)(?:[ \t]*(?:—|:|-)(?:[ \t]+(?P<name>.*))?)?")
_ROW = re.compile(
    r"[ \t]*- \[(?P<mark>.)\] (?:\*\*)?(?P<id>[A-Z][A-Za-z0-9.\-]*[0-9])(?:\*\*)?:(?:\*\*)?"
    r"[ \t]*(?P<text>.*)"
)
_INNER_ROW = re.compile(r"- \[[ xXPD~]\] ")
_TICK = re.compile(r"\[[ xXPD~]\]")
_LOST_ROW = re.compile(r"\[[ xXPD~]\]|\[[ xXPD~] |(?<!\w)[A-Z][A-Z0-9.]*[0-9]\**: ")
_BOX = re.compile(r"\[.?\]")
_TABLE_MARK = re.compile(r"\|[ \t]*\[(?P<mark>.)\][ \t]*\|")
_EXPECTATION = re.compile(
    r"(?P<file>[^:\s]+)(?::(?P<key>\S+))?\s+(?:(?P<exists>exists)|(?P<op><=|>=|==|<|>)\s+(?P<value>\S.*))"
)
_LIMIT = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*(s|min|h)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_SINGLE = frozenset({"Run", "Test", "Recheck", "Limit", "Stochastic"})
_MANY = frozenset({"Expect", "Needs", "Allow-skip", "Implement"})
_KEYS = ", ".join(sorted(_SINGLE | _MANY))
_PHASE_FIELDS = {"Goal": "goal", "Prereqs": "prereqs", "Exit Criteria": "exit_criteria"}
_COLUMNS = {"id": "id", "task description": "text", "state": "state", "how/why & guidance": "guidance"}


class RowState(StrEnum):
    """What a row's box says."""

    OPEN = "open"
    PARTIAL = "partial"
    DONE = "done"


_MARKS = {" ": RowState.OPEN, "P": RowState.PARTIAL, "~": RowState.PARTIAL} | dict.fromkeys("xXD", RowState.DONE)
_TICKS = {RowState.OPEN: " ", RowState.PARTIAL: "P", RowState.DONE: "x"}


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
    implement: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Phase:
    """A phase: its letter is usually one (``A``), and may be a word (``G-scaled``)."""

    letter: str
    name: str
    goal: str = ""
    prereqs: str = ""
    exit_criteria: str = ""
    rows: tuple[Row, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Plan:
    """A plan as read: `evaluators` are the paths that decide a criterion beside the rows' own tests."""

    title: str
    evaluators: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = ()
    problems: tuple[Problem, ...] = field(default=(), compare=False)
    path: str = field(default="implementation.md", compare=False)
    raw: str = field(default="", compare=False, repr=False)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, in the order of the file."""
        return tuple(row for phase in self.phases for row in phase.rows)

    def row(self, row_id: str) -> Row:
        """Return the first row with this id, RecordError when there is none."""
        for row in self.rows:
            if row.id == row_id:
                return row
        raise RecordError(f"{self.path}: expected a row {row_id!r}, the plan has {_names(row.id for row in self.rows)}")

    def phase(self, letter: str) -> Phase:
        """Return the phase with this letter, RecordError when there is none."""
        for phase in self.phases:
            if phase.letter == letter:
                return phase
        letters = _names(phase.letter for phase in self.phases)
        raise RecordError(f"{self.path}: expected a phase {letter!r}, the plan has {letters}")


def _names(words: Iterable[str]) -> str:
    return ", ".join(words) or "none"


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


@dataclass
class _OpenRow:
    """A row whose indented lines are still being read."""

    line: int
    id: str
    mark: str
    text: list[str]
    entries: dict[str, list[str]] = field(default_factory=dict)


class _Reader:
    """Reads a plan line by line; every line that could hide a row or a criterion leaves a problem."""

    def __init__(self, path: str) -> None:
        self.problems = ProblemList(path)
        self.title = ""
        self.evaluators: list[str] = []
        self.phases: list[Phase] = []
        self._phase: Phase | None = None
        self._fields: dict[str, list[str]] = {}
        self._rows: list[Row] = []
        self._row: _OpenRow | None = None
        self._open_field: list[str] | None = None
        self._columns: tuple[str, ...] = ()
        self._seen: set[str] = set()

    def read(self, number: int, line: str) -> None:
        """Take in line `number`."""
        match = _ROW.fullmatch(line)
        cells = table_cells(line)
        if not line:
            self._columns = ()
            return
        if _INNER_ROW.search(line, len(line) - len(line.lstrip()) + 1):
            self.problems.add(number, "a line break in front of a row", shown(line))
        if line.startswith("#"):
            self._heading(number, line)
        elif match:
            self._start_row(_OpenRow(number, match["id"], match["mark"], [match["text"]]))
        elif line[0] in " \t":
            self._indented(number, line)
        elif cells is not None:
            self._table(number, cells)
        else:
            self._text(number, line)

    def _heading(self, number: int, line: str) -> None:
        self.close_row()
        self._open_field = None
        match = _PHASE.fullmatch(line)
        if match is None and (not line.strip("# \t") or ("Phase" in line and line.startswith("##"))):
            self.problems.add(number, "a heading such as '## Phase A — name'", shown(line))
        if line.startswith(("# ", "## ")):
            self.close_phase()
        if match:
            self._phase = Phase(match["letter"], (match["name"] or "").strip(), line=number)
            if any(phase.letter == match["letter"] for phase in self.phases):
                self.problems.add(number, "each phase once", f"a second phase {match['letter']!r}")
        elif line.startswith("# ") and not self.title:
            self.title = line[2:].strip()

    def _start_row(self, row: _OpenRow) -> None:
        self.close_row()
        self._open_field = None
        if self._phase is None:
            self.problems.add(row.line, "a heading '## Phase …' above the row", f"row {row.id!r} outside a phase")
            return
        if row.id[0] != self._phase.letter[0].upper():
            self.problems.add(row.line, f"a row of phase {self._phase.letter!r}", f"row {row.id!r}")
        if row.id in self._seen:
            self.problems.add(row.line, "each row id once", f"a second row {row.id!r}")
        self._seen.add(row.id)
        self._row = row

    def _indented(self, number: int, line: str) -> None:
        entry = read_field(line)
        if _TICK.search(line) and entry is None:
            self.problems.add(number, "'- [ ] A1: text'", shown(line))
        if self._row is None:
            if self._open_field is not None:
                self._open_field.append(line.strip())
            elif entry and entry[0] in _SINGLE | _MANY:
                self.problems.add(number, "a row above this line", shown(line))
            return
        entries = self._row.entries
        if entry is None and not entries:
            self._row.text.append(line.strip())
        elif entry is None or entry[0] not in _SINGLE | _MANY or not entry[1]:
            self.problems.add(number, f"one of {_KEYS}, with a value", shown(line))
        elif entry[0] in _SINGLE and entry[0] in entries:
            self.problems.add(number, f"one {entry[0]} in row {self._row.id!r}", shown(line))
        else:
            entries.setdefault(entry[0], []).append(entry[1])
            self._check_entry(number, *entry)

    def _check_entry(self, number: int, key: str, value: str) -> None:
        if key in {"Run", "Test", "Recheck"}:
            try:
                shlex.split(strip_code(value))
            except ValueError as error:
                self.problems.add(
                    number, f"a command in {key} that can be split into words", f"{shown(value)}: {error}"
                )
        elif key == "Expect" and parse_expectation(value) is None:
            form = "'file.json:key op value' with op one of <= >= == < >, or 'file exists'"
            self.problems.add(number, form, shown(value))
        elif key == "Limit" and _seconds(value) is None:
            self.problems.add(number, "a limit such as '90 s', '5 min' or '1 h'", shown(value))
        elif key == "Stochastic" and value not in {"yes", "no"}:
            self.problems.add(number, "yes or no", shown(value))

    def _table(self, number: int, cells: tuple[str, ...]) -> None:
        self.close_row()
        names = tuple(_COLUMNS.get(cell.lower(), "") for cell in cells)
        if names[0] == "id":
            self._columns = names
        elif all(cell and not cell.strip(":-") for cell in cells):
            return
        elif not self._columns and not any(_BOX.search(cell) for cell in cells):
            return  # a table of another kind is text
        elif len(cells) != len(self._columns):
            self.problems.add(
                number, f"a row of {len(self._columns)} cells below a heading '| ID | … |'", shown(str(cells))
            )
        else:
            values = dict(zip(self._columns, cells, strict=True))
            mark = re.fullmatch(r"\[(.)\]", values.get("state", ""))
            row_id = values["id"].strip("*")
            if mark is None or not re.fullmatch(r"[A-Z][A-Za-z0-9.\-]*[0-9]", row_id):
                self.problems.add(number, "an id such as A1 and a state such as [ ]", shown(str(cells)))
                return
            self._start_row(_OpenRow(number, row_id, mark[1], [values.get("text", "")]))
            for piece in values.get("guidance", "").split("<br>"):
                if piece.strip():
                    self._guidance(number, piece.strip())
            self.close_row()

    def _guidance(self, number: int, piece: str) -> None:
        entry = read_field(piece)
        if self._row is not None and (entry is None or entry[0] not in _SINGLE | _MANY):
            self._row.text.append(f"— {piece}")
        else:
            self._indented(number, piece)

    def _text(self, number: int, line: str) -> None:
        self.close_row()
        self._open_field = None
        entry = read_field(line)
        if self._phase is None:
            if entry and entry[0] == "Evaluator":
                self.evaluators += _items(entry[1])
            elif _LOST_ROW.search(line):
                self.problems.add(number, "rows below a heading '## Phase …'", shown(line))
        elif entry and entry[0] in _PHASE_FIELDS:
            self._open_field = self._fields.setdefault(_PHASE_FIELDS[entry[0]], [])
            self._open_field.append(entry[1])
        elif line.startswith("- ") or _LOST_ROW.search(line):
            self.problems.add(number, "'- [ ] A1: text' or one of " + ", ".join(_PHASE_FIELDS), shown(line))

    def close_row(self) -> None:
        """Turn the open row, if there is one, into a record."""
        row, self._row = self._row, None
        if row is None or self._phase is None:
            return
        if row.mark not in _MARKS:
            self.problems.add(row.line, "a state [ ], [P] or [x]", f"[{row.mark}]")
        self._rows.append(_make_row(row, self._phase.letter))

    def close_phase(self) -> None:
        """Turn the open phase, if there is one, into a record."""
        self.close_row()
        phase, self._phase = self._phase, None
        rows, self._rows = tuple(self._rows), []
        texts = {name: "\n".join(filter(None, lines)) for name, lines in self._fields.items()}
        self._fields, self._columns = {}, ()
        if phase is not None:
            self.phases.append(Phase(phase.letter, phase.name, **texts, rows=rows, line=phase.line))


def _items(text: str) -> list[str]:
    return [strip_code(part.strip()) for part in text.split(",") if part.strip()]


def _seconds(text: str) -> float | None:
    match = _LIMIT.fullmatch(text)
    return (float(match[1]) * _SECONDS[match[2]] or None) if match else None


def _make_row(row: _OpenRow, phase: str) -> Row:
    def one(key: str) -> str | None:
        return strip_code(row.entries[key][0]) if key in row.entries else None

    def many(key: str) -> tuple[str, ...]:
        return tuple(strip_code(value) for value in row.entries.get(key, ()))

    return Row(
        id=row.id,
        phase=phase,
        text=" ".join(filter(None, row.text)),
        state=_MARKS.get(row.mark, RowState.OPEN),
        run=one("Run"),
        test=one("Test"),
        expects=many("Expect"),
        recheck=one("Recheck"),
        limit_s=_seconds(one("Limit") or ""),
        needs=tuple(item for value in row.entries.get("Needs", ()) for item in _items(value)),
        allow_skip=many("Allow-skip"),
        stochastic=one("Stochastic") == "yes",
        implement=many("Implement"),
        line=row.line,
    )


def parse_plan(text: str, path: str = "implementation.md") -> Plan:
    """Read a plan; whatever cannot be read is named in `Plan.problems`, with its line.

    Parameters
    ----------
    text : str
        The whole file.
    path : str
        Named in the problems.
    """
    reader = _Reader(path)
    for number, line in enumerate(split_lines(text), start=1):
        reader.read(number, line.rstrip())
    reader.close_phase()
    reader.problems.check_end(text)
    return Plan(reader.title, tuple(reader.evaluators), tuple(reader.phases), reader.problems.sorted(), path, text)


def _code(text: str) -> str:
    return text if "`" in text else f"`{text}`"


def _row_lines(row: Row) -> list[str]:
    entries = [("Run", row.run), ("Test", row.test)]
    entries += [("Expect", text) for text in row.expects]
    entries += [("Recheck", row.recheck)]
    lines = [f"  - {key}: {_code(value)}" for key, value in entries if value]
    lines += [f"  - Limit: {row.limit_s:.12g} s"] if row.limit_s else []
    lines += [f"  - Needs: {', '.join(row.needs)}"] if row.needs else []
    lines += [f"  - Allow-skip: {text}" for text in row.allow_skip]
    lines += ["  - Stochastic: yes"] if row.stochastic else []
    lines += [f"  - Implement: {text}" for text in row.implement]
    return [f"- [{_TICKS[row.state]}] {row.id}: {row.text}".rstrip(), *lines]


def _phase_lines(phase: Phase) -> list[str]:
    lines = ["", f"## Phase {phase.letter} — {phase.name}".rstrip(" —")]
    for key, name in _PHASE_FIELDS.items():
        first, *rest = getattr(phase, name).split("\n")
        lines += [f"- {key}: {first}", *(f"  {line}" for line in rest)] if first else []
    return [*lines, "", *(line for row in phase.rows for line in _row_lines(row))]


def render_plan(plan: Plan) -> str:
    """Write a plan; one that was parsed and not changed since comes back byte for byte.

    Raises
    ------
    RecordError
        The text would be read back as another plan.
    """
    if parse_plan(plan.raw, plan.path) == plan:
        return plan.raw
    lines = [f"# {plan.title}"]
    lines += ["", "- Evaluator: " + ", ".join(f"`{path}`" for path in plan.evaluators)] if plan.evaluators else []
    lines += [line for phase in plan.phases for line in _phase_lines(phase)]
    text = "\n".join(lines) + "\n"
    check_same(plan, parse_plan(text, plan.path), plan.path)
    return text


def with_ticks(text: str, ticks: Mapping[str, RowState]) -> str:
    """Set the boxes of rows and change nothing else.

    Parameters
    ----------
    text : str
        The whole plan.
    ticks : mapping of str to RowState
        New state by row id; a box that says so already keeps its letter.

    Raises
    ------
    RecordError
        The plan has no row of that id.
    """
    plan = parse_plan(text)
    lines = split_lines(text)
    for row_id, state in ticks.items():
        row = plan.row(row_id)
        line = lines[row.line - 1]
        match = _ROW.fullmatch(line.rstrip()) or _TABLE_MARK.search(line)
        if match and row.state is not state:
            at = match.start("mark")
            lines[row.line - 1] = line[:at] + _TICKS[state] + line[at + 1 :]
    return "".join(lines)
