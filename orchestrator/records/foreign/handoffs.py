"""Foreign handoffs: one piece for each section, whatever marks its name."""

from __future__ import annotations

import re
from dataclasses import replace

from orchestrator.records.foreign.document import Field, Foreign, Piece, Reader
from orchestrator.records.foreign.words import canonical, find_foreign_ids
from orchestrator.records.handoff import SECTIONS, find_selectors

__all__ = ["read_handoff"]

_SECTION = re.compile(
    r"(?P<marks>#{1,4} +)?(?P<bullet>[-*] )?(?P<bold>\*\*)?(?P<key>" + "|".join(map(re.escape, SECTIONS)) + ")"
    r"(?: ?\([^()]*\))?(?P<end>:?\*\*:?|:)?(?:[ \t]+[—–-]+)?(?:[ \t]+(?P<value>.*))?",
    re.IGNORECASE,
)
_HEADING = re.compile(r"(?P<marks>#{1,4})[ \t]+(?P<key>\S.*)")
_KEY = re.compile(r"[-*] \*\*(?P<key>[^*:]{1,60})(?::\*\*|\*\*:)(?P<value>.*)")
_TESTS = frozenset({"mapped_tests", "do_now"})


def read_handoff(text: str, path: str) -> Foreign:
    """Read a handoff; beside its text, a section that names tests gives each selector as a field."""
    found = _Sections(text, path).read_all()
    return replace(found, pieces=tuple(map(_with_parts, found.pieces)))


class _Sections(Reader):
    known = False  # whether the section's name is one of ours: its bullets are then its own

    def read_all(self) -> Foreign:
        self.seen: set[str] = set()
        for number, line in self:
            section, heading = _SECTION.fullmatch(line), _HEADING.fullmatch(line)
            if section and (section["marks"] or section["end"] or not section["value"]) and self.may(section):
                self.known = not section["bullet"]
                level = self.level if section["bullet"] else len((section["marks"] or "").strip())
                self.start(Piece(number, section["key"]), level)
                self.add(number, canonical(section["key"]), section["value"] or "")
            elif key := None if self.known else _KEY.fullmatch(line):
                self.start(Piece(number, key["key"]), self.level)
                self.add(number, canonical(key["key"]), key["value"])
            elif heading and (self.head is None or len(heading["marks"]) <= self.level):
                self.known = False
                self.start(Piece(number, heading["key"]), len(heading["marks"]))
                self.add(number, canonical(heading["key"]), "")
            else:
                self.keep(number, line)
        return self.finish("handoff", "", lambda _: "")

    def may(self, section: re.Match[str]) -> bool:
        """Whether a bullet may be a section: in bold, or below a heading that is none, as the first of its name."""
        below = self.head and not self.known and section["key"].lower() not in self.seen
        self.seen.add(section["key"].lower())
        return bool(not section["bullet"] or section["bold"] or below)

    def keep(self, number: int, line: str) -> None:
        """Take a line into the section: there is no other place for it."""
        if self._values:
            self._values[-1][2].append(line)


def _with_parts(piece: Piece) -> Piece:
    name, value = piece.fields[0].name, piece.fields[0].value
    if name == "focus":
        return replace(piece, ids=find_foreign_ids(value))
    lines = enumerate(piece.raw.split("\n"), start=piece.line) if name in _TESTS else ()
    told = ((number, line) for number, line in lines if name == "mapped_tests" or "pytest" in line or "::" in line)
    none = re.match(r"none\b", value, re.IGNORECASE)
    tests = [Field("selector", test, number) for number, line in told if not none for test in find_selectors(line)]
    return replace(piece, fields=(*piece.fields, *tests))
