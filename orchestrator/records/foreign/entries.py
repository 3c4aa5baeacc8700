"""Foreign memories and summaries: one piece for each turn, however its heading and its fields are written."""

from __future__ import annotations

import re
from dataclasses import replace

from orchestrator.records.foreign.document import Foreign, Piece, Reader
from orchestrator.records.foreign.words import STAMP, find_foreign_ids, plain, same_stamp

__all__ = ["read_memory", "read_summary"]

_HEADING = re.compile(
    rf"(?P<marks>#{{1,4}})[ \t]+(?P<heading>[\[(*`]*(?P<stamp>{STAMP})[\])*`]*(?P<title>.*)|Turn Summary\b.*)"
)
_KEY_VALUES = r"(?=[*`]*(?:focus|state|dwell|action_type|action|mode|ralph_last_commit|artifacts|next_action)=)"
_STAMPED = re.compile(rf" ?(?P<bullet>[-*] )?[\[`*]*(?P<stamp>{STAMP})[\]`*]*:?[ \t]+{_KEY_VALUES}")
_BARE = re.compile(rf" ?(?:[-*] )?{_KEY_VALUES}")
_IN_TITLE = re.compile(r"\b(?:focus|state|dwell)=")
_PAIR = re.compile(r"(?:\A|(?<=[\s|;,`*(]))(?P<key>[a-z_]+)=")
_KEYS = {"summary": "artifacts", "action": "action_type"}
_STATE = re.compile(r"\s(?:- )?<Action State>[=:]")
_OPENING = re.compile(r"[-*] \**(?:dwell|focus)", re.IGNORECASE)
_TOKEN = re.compile(r"[\[`*~]*(?P<id>[A-Za-z][\w.\-]*)[\]`*~]*(?:$|[\s:(]*(?:[—–/→(]|->|- ))")


def read_memory(text: str, path: str) -> Foreign:
    """Read a supervisor's memory."""
    return _Entries(text, path).read_all("memory", "state")


def read_summary(text: str, path: str) -> Foreign:
    """Read the summary of an initiative."""
    return _Entries(text, path).read_all("summary", "artifacts")


class _Entries(Reader):
    keyed = False  # whether the entry has its key=value line

    def read_all(self, kind: str, last: str) -> Foreign:
        for number, line in self:
            heading = _HEADING.match(plain(line)) if line.startswith("#") else None
            stamped, bare = _STAMPED.match(line), _BARE.match(line)
            if heading and (heading["stamp"] or kind == "summary") and self.starts(number, heading):
                self.title(number, heading)
            elif stamped and self.takes(number, stamped):
                self.add_pairs(number, line[stamped.end() :])
            elif bare and not stamped:
                if self.head is None or (self.keyed and not self.head.heading):
                    self.start(Piece(number))
                self.add_pairs(number, line[bare.end() :])
            else:
                self.read(number, line)
        found = self.finish(kind, last, lambda piece: str(piece.line))
        return replace(found, pieces=tuple(replace(piece, ids=_ids(piece)) for piece in found.pieces))

    def start(self, head: Piece, level: int = 0) -> None:
        super().start(head, level)
        self.keyed = False

    def starts(self, number: int, heading: re.Match[str]) -> bool:
        """Whether a heading with a stamp begins an entry: a deeper one inside an entry not yet over may not."""
        if len(heading["marks"]) <= self.level or self.has("state") or not (self.has("focus") or self.has("dwell")):
            return True
        for line in map(self.lines.__getitem__, range(number, len(self.lines))):
            if _HEADING.match(line):
                return False
            if _STAMPED.match(line) or _OPENING.match(line):
                return True
        return False

    def title(self, number: int, heading: re.Match[str]) -> None:
        title, stamp = (heading["title"] or "").strip(" \t:—–-|"), heading["stamp"] or ""
        level = len(heading["marks"])
        if self.head and not self.head.heading and same_stamp(self.head.stamp, stamp):
            self.head, self.level = replace(self.head, heading=heading["heading"], title=title), level
        else:
            self.start(Piece(number, heading["heading"], stamp, title=title), level)
        keys = _IN_TITLE.search(title)
        if keys:
            self.add_pairs(number, title[keys.start() :])

    def takes(self, number: int, stamped: re.Match[str]) -> bool:
        """Find the entry for key=value behind a stamp, or begin one; False where the line quotes another entry."""
        if self.head and self.head.heading:
            if same_stamp(self.head.stamp, stamped["stamp"]) and not self.keyed:
                return True
            if stamped["bullet"] and not self.has("state"):
                return False
        self.start(Piece(number, stamp=stamped["stamp"]))
        return True

    def add_pairs(self, number: int, text: str) -> None:
        """Read ``focus=… state=…``; what stands behind ``next_action=`` is one value, whatever it holds."""
        matches = list(_PAIR.finditer(text))
        stop = next((n for n, match in enumerate(matches, start=1) if match["key"] == "next_action"), len(matches))
        ends = [match.start() for match in matches[1:stop]] + [len(text)]
        for match, end in zip(matches[:stop], ends, strict=True):
            value, *state = _STATE.split(text[match.end() : end], maxsplit=1)
            value = value if match["key"] == "next_action" else value.strip().rstrip("|;,*`")
            self.add(number, _KEYS.get(match["key"], match["key"]), value)
            if state:
                self.add(number, "state", state[0])
            self.keyed = self.keyed or match["key"] == "focus"


def _ids(piece: Piece) -> tuple[str, ...]:
    """Return the ids of the title and of the focus; a focus of one word, such as ``INIT``, is one."""
    found = list(find_foreign_ids(piece.title))
    for focus in piece.values("focus"):
        token = _TOKEN.match(plain(focus))
        word = token["id"] if token else ""
        found += [word] if word.isupper() or "-" in word or "_" in word else []
        found += find_foreign_ids(focus)
    return tuple(dict.fromkeys(found))
