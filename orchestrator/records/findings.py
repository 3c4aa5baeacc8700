"""The findings, `docs/findings.md`: what was learned, each with an id that plans and handoffs cite."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from orchestrator.records.text import Problem, ProblemList, is_id, shown, split_lines, table_cells

__all__ = ["Finding", "Findings", "parse_findings"]

_COLUMNS = ("Finding ID", "Date", "Keywords", "Synopsis", "Evidence Pointer", "Status")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LOST = re.compile(r"(?:[^|]*\|){3}|.*[A-Z0-9]-\d{3}[ `*]*\|")


@dataclass(frozen=True)
class Finding:
    """One row of the table."""

    id: str
    date: str
    keywords: str
    synopsis: str
    evidence: str
    status: str
    line: int = field(default=0, compare=False)

    @property
    def resolved(self) -> bool:
        """Whether the status says that the finding no longer holds."""
        return self.status.lower().lstrip("✅ *~").startswith("resolved")


@dataclass(frozen=True)
class Findings:
    """The document as read."""

    findings: tuple[Finding, ...] = ()
    problems: tuple[Problem, ...] = field(default=(), compare=False)
    path: str = field(default="docs/findings.md", compare=False)


def _is_frame(cells: tuple[str, ...]) -> bool:
    """Whether the line is the table's heading or the rule below it."""
    heading = len(cells) == len(_COLUMNS) and cells[0] == _COLUMNS[0]
    return heading or all(cell and not cell.strip(":-") for cell in cells)


def _read_row(number: int, cells: tuple[str, ...], problems: ProblemList) -> Finding:
    if len(cells) != len(_COLUMNS):
        problems.add(number, f"{len(_COLUMNS)} cells: {', '.join(_COLUMNS)}", f"{len(cells)}")
    name, date, keywords, synopsis, evidence, status, *_ = (*cells, *[""] * len(_COLUMNS))
    finding_id = name.strip("*`~ ")
    if not is_id(finding_id):
        problems.add(number, "a finding's id such as CONFIG-001", shown(name))
    if date and not _DATE.fullmatch(date):
        problems.add(number, "a date such as 2026-01-15", shown(date))
    return Finding(finding_id, date, keywords, synopsis, evidence, status, number)


def parse_findings(text: str, path: str = "docs/findings.md") -> Findings:
    """Read the table of findings, with or without the rule below its heading.

    Parameters
    ----------
    text : str
        The whole file.
    path : str
        Named in the problems.
    """
    problems = ProblemList(path)
    found: list[Finding] = []
    seen: set[str] = set()
    for number, line in enumerate(split_lines(text), start=1):
        cells = table_cells(line)
        if cells is None:
            if _LOST.match(line):
                problems.add(number, "a row of the table, from | to |", shown(line))
        elif not _is_frame(cells):
            finding = _read_row(number, cells, problems)
            if finding.id in seen:
                problems.add(number, "each id once", f"a second finding {finding.id!r}")
            seen.add(finding.id)
            found.append(finding)
    problems.check_end(text)
    return Findings(tuple(found), problems.sorted(), path)
