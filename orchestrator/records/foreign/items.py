"""Foreign ledgers, findings and plans: one piece for each section, table row or bullet that carries an id."""

from __future__ import annotations

import re

from orchestrator.records.foreign.document import Foreign, Piece, Reader
from orchestrator.records.foreign.words import STAMP, canonical, find_foreign_ids, plain
from orchestrator.records.rows import MARKS
from orchestrator.records.text import table_cells

__all__ = ["read_findings", "read_ledger", "read_plan"]

_HEADING = re.compile(r"(?P<marks>#{1,4})[ \t]+(?P<text>.*)")
_BRACKETED = r"\[(?P<id>[A-Za-z][\w.]*-[\w.\-]+)\](?:\([^()]*\))?"
# `UTC — ID.F1 (shipped)`, `[ID] Title`, `ID — Title`, `ID-001 Title`: `GPU-CPU timing` is none of these.
_ITEM = re.compile(
    rf"(?:[\[(*`]*(?P<stamp>{STAMP})[\])*`]*[\s:—–-]*)?[^\w\[]{{0,9}}(?:{_BRACKETED}"
    r"|(?P<bare>[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+(?:\.\w+)*)(?(stamp)(?![\w-])|(?:(?<=\d)(?=\s)|(?=\s*(?:$|[:—–(]|-\s)))))(?P<title>.*)"
)
_BULLET = re.compile(rf"(?:[-*]|\d{{1,3}}[.)]) (?:\[[ xX~]\] )?[*~]{{0,4}}{_BRACKETED}(?P<title>.*)")
_PHASE = re.compile(r"(?P<bare>)(?P<stamp>)\**Phase[ \t]+(?P<id>\w+(?:[.\-]\w+)*)(?P<title>.*)")
_ROW = re.compile(
    r"[ \t]*(?:[-*]|\d{1,3}[.)]) \[(?P<mark>[ xXPD~✓✔-])\] "
    r"(?:[*`~]{0,3}(?P<id>[A-Z][A-Za-z0-9.\-]*\d[a-z]?)(?![\w.]*\w)[*`~]{0,3})?(?P<title>.*)"
)
_ROW_ID = re.compile(r"[A-Z][A-Za-z0-9.\-]*\d[a-z]?")
# A ledger that was merged by hand keeps the marks of a diff in front of its lines.
_STANDS = re.compile(r" (?:[—–-]{1,2} (?=[*~`✅])|— (?=\w+$))")
_DIFF = re.compile(r"[-+](?= +[-*] |#{1,4} )")
_OUTCOME = re.compile(r"\(([^()]+)\)[^()]*$")


def read_ledger(text: str, path: str) -> Foreign:
    """Read a ledger: its items in every form, attempts that are sections, the rows of its index."""
    return _Items(text, path).read_all("ledger", "status")


def read_findings(text: str, path: str) -> Foreign:
    """Read findings, from a table with or without the rule below its heading, or from sections."""
    return _Items(text, path).read_all("findings", "status")


def read_plan(text: str, path: str) -> Foreign:
    """Read a plan: its phases, and the rows of their checklists and tables."""
    return _Rows(text, path).read_all("plan", "")


def _about(piece: Piece) -> str:
    """Return the id of what a piece describes; an attempt describes no item."""
    return piece.ids[0].upper() if piece.ids and not piece.stamp else str(piece.line)


class _Items(Reader):
    form, listed = _ITEM, _BULLET  # what a heading and a bullet with an id look like
    nested = False  # whether rows and bullets inside a section are pieces too
    columns: tuple[str, ...] = ()

    def read_all(self, kind: str, last: str) -> Foreign:
        for number, whole in self:
            line = whole[1:] if _DIFF.match(whole) else whole
            cells, heading = table_cells(line), _HEADING.match(line)
            self.columns = self.columns if cells else ()
            inside = bool(self.level and self.head and self.head.ids) and not self.nested
            bullet = None if inside else self.listed.match(plain(line))
            if cells and not inside:
                self.row(number, line, tuple(plain(cell).strip("*` ") for cell in cells))
            elif heading:
                self.heading(number, len(heading["marks"]), plain(heading["text"]).strip())
            elif bullet:
                self.bullet(number, bullet)
            else:
                self.read(number, line)
        return self.finish(kind, last, _about)

    def ids(self, cell: str) -> tuple[str, ...]:
        return find_foreign_ids(cell)

    def row(self, number: int, line: str, cells: tuple[str, ...]) -> None:
        names = tuple(map(canonical, cells))
        values = dict(zip(self.columns, cells, strict=False))
        found = self.ids(values.get("id", ""))
        if "id" in names and len(names) > 1:
            self.columns = names
        elif found:
            if len(cells) != len(self.columns):
                self.problems.add(number, f"{len(self.columns)} cells: {', '.join(self.columns)}", f"{len(cells)}")
            self.start(Piece(number, ids=found[:1], title=values.pop("title", "")))
            for name, value in values.items():
                if name not in {"id", ""}:
                    self.add(
                        number, name, MARKS.get(value[1:2], value) if name == "state" and len(value) == 3 else value
                    )
        else:
            self.keep(number, line)

    def heading(self, number: int, level: int, text: str) -> None:
        deeper = self.level and self.head and self.head.ids and level > self.level
        match = self.form.match(text)
        label = text.rstrip(":")
        if match and not (deeper and match["bare"] and not match["stamp"]):
            title = match["title"].lstrip(".").strip(" :—–-\t")
            self.start(Piece(number, text, match["stamp"] or "", (match["id"] or match["bare"],), title), level)
            outcome = _OUTCOME.search(title[-200:]) if match["stamp"] else None
            if outcome:
                self.add(number, "status", outcome[1])
        elif deeper or self.head is None:
            self.read(number, f"{label}:")
        else:
            self.start(Piece(number, text), level)

    def bullet(self, number: int, match: re.Match[str]) -> None:
        """Read ``- [ID] (Title) — **status** (why)`` of a roadmap, or ``- [x] A1: text`` of a plan."""
        found = match.groupdict()
        title = found["title"].lstrip(". ").strip(" :*~`—–-")
        stands = None if "mark" in found else _STANDS.search(title)
        status = title[stands.end() :] if stands else ""
        title = title[: stands.start()].rstrip(" *~`") if stands else title
        title = title[1:-1] if title.startswith("(") and title.endswith(")") else title
        self.start(Piece(number, ids=(found["id"],) if found["id"] else (), title=title))
        if status:
            self.add(number, "status", status)
        if "mark" in found:
            self.add(number, "state", MARKS.get(found["mark"], found["mark"]))


class _Rows(_Items):
    form, listed = _PHASE, _ROW
    nested = True

    def ids(self, cell: str) -> tuple[str, ...]:
        return (cell,) if _ROW_ID.fullmatch(cell) else ()
