"""The plan of an item: phases, rows, and in each row what a machine can run and check."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.errors import RecordError
from orchestrator.records.rows import (
    TICKS,
    Expectation,
    OpenRow,
    Row,
    RowState,
    comma_list,
    is_entry,
    parse_expectation,
)
from orchestrator.records.text import Problem, ProblemList, read_field, shown, split_lines, table_cells

__all__ = ["Expectation", "Phase", "Plan", "Row", "RowState", "parse_expectation", "parse_plan", "with_ticks"]

_PHASE = re.compile(r"##[ \t]+Phase[ \t]+(?P<letter>\S+?)(?:[ \t]*(?:—|:|-)(?:[ \t]+(?P<name>.*))?)?")
_ROW = re.compile(
    r"[ \t]*- \[(?P<mark>.)\] (?:\*\*)?(?P<id>[A-Z][A-Za-z0-9.\-]*[0-9])(?:\*\*)?:(?:\*\*)?"
    r"[ \t]*(?P<text>.*)"
)
# What is left of a row when its line is glued to another or lost a byte: it leaves a problem, never silence.
_INNER_ROW = re.compile(r"- \[[ xXPD~]\] |\[[ xXPD~]\] \**[A-Z][A-Z0-9.]*[0-9]\**:")
_TICK = re.compile(r"\[[ xXPD~]\]")
_LOST_ROW = re.compile(r"\[[ xXPD~]\]|\[[ xXPD~] |(?<![\w.])[A-Z][A-Z0-9.]*[0-9]\**: ")
_BOX = re.compile(r"\[.?\]")
_TABLE_MARK = re.compile(r"\|[ \t]*\[(?P<mark>.)\][ \t]*\|")
_PHASE_FIELDS = {"Goal": "goal", "Prereqs": "prereqs", "Exit Criteria": "exit_criteria"}
_COLUMNS = {"id": "id", "task description": "text", "state": "state", "how/why & guidance": "guidance"}


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
        known = ", ".join(row.id for row in self.rows) or "none"
        raise RecordError(f"{self.path}: expected a row {row_id!r}, the plan has {known}")


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
        self._row: OpenRow | None = None
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
        if _INNER_ROW.search(line, match.start("text") if match else len(line) - len(line.lstrip()) + 1):
            self.problems.add(number, "a line break in front of a row", shown(line))
        if line.startswith("#"):
            self._heading(number, line)
        elif match:
            self._start_row(OpenRow(number, match["id"], match["mark"], [match["text"]]))
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

    def _start_row(self, row: OpenRow) -> None:
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
        if _TICK.search(line) and read_field(line) is None:
            self.problems.add(number, "'- [ ] A1: text'", shown(line))
        if self._row is not None:
            self._row.read(number, line, self.problems)
        elif self._open_field is not None:
            self._open_field.append(line.strip())
        elif is_entry(line):
            self.problems.add(number, "a row above this line", shown(line))

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
            self._start_row(OpenRow(number, row_id, mark[1], [values.get("text", "")]))
            for piece in filter(None, map(str.strip, values.get("guidance", "").split("<br>"))):
                if self._row is not None:
                    self._row.read(number, piece if is_entry(piece) else f"— {piece}", self.problems)
            self.close_row()

    def _text(self, number: int, line: str) -> None:
        self.close_row()
        self._open_field = None
        entry = read_field(line)
        if self._phase is None:
            if entry and entry[0] == "Evaluator":
                self.evaluators += comma_list(entry[1])
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
        if row is not None and self._phase is not None:
            self._rows.append(row.close(self._phase.letter, self.problems))

    def close_phase(self) -> None:
        """Turn the open phase, if there is one, into a record."""
        self.close_row()
        phase, self._phase = self._phase, None
        rows, self._rows = tuple(self._rows), []
        texts = {name: "\n".join(filter(None, lines)) for name, lines in self._fields.items()}
        self._fields, self._columns = {}, ()
        if phase is not None:
            self.phases.append(Phase(phase.letter, phase.name, **texts, rows=rows, line=phase.line))

    def check_whole(self) -> None:
        """Note what only the whole plan tells: that it has no phase, or that a row needs one that is nowhere."""
        rows = [row for phase in self.phases for row in phase.rows]
        known = {row.id: row for row in rows}
        if not self.phases:
            self.problems.add(1, "a phase, with a heading such as '## Phase A — name'", "none")
        for row in rows:
            for need in row.needs:
                if ":" not in need and need not in known:
                    expected = f"in Needs of {row.id} a row of this plan, one of {', '.join(known)}, or kind:name"
                    self.problems.add(row.line, expected, shown(need))


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
    reader.check_whole()
    reader.problems.check_end(text)
    return Plan(reader.title, tuple(reader.evaluators), tuple(reader.phases), reader.problems.sorted(), path, text)


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
            lines[row.line - 1] = line[:at] + TICKS[state] + line[at + 1 :]
    return "".join(lines)
