"""The words of foreign documents: stamps, ids, field names, a state with prose behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from orchestrator.records.text import value_or_none

__all__ = ["STAMP", "WORDS", "canonical", "contradict", "find_foreign_ids", "plain", "same_stamp", "word_and_note"]

STAMP = (
    r"(?:\d{4}-[\d?xX]{2}-[\d?xX]{2}(?:(?:T[\d?xX]{2}:?| [\d?xX]{2}:)[\d?xX]{2}(?::?[\d?xX]{2}(?:\.\d{1,9})?)?)?"
    r"(?: ?(?:Z|UTC|GMT)|[+-]\d\d:?\d\dZ?)?|\d{8}T\d{4,6}Z?|\$\{?STAMP\}?|<STAMP>)(?!\w)"
)
WORDS = frozenset({"dwell", "priority", "state", "status"})
_ID = re.compile(
    r"(?<![\w-])(?:[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+|[a-z][a-z0-9]*(?:-[a-z0-9]+)*-\d{2,4})"
    r"(?:\.[A-Z]\w{0,9}(?:\.\w{1,9})*)?(?![\w-])"
)
# A narrow blank beside a hyphen is typography inside an id; anywhere else it is a blank.
_GLUE = re.compile("(?<=\\w[-\u2010\u2011])[\u00a0\u202f]|[\u00a0\u202f](?=[-\u2010\u2011]\\w)")
_PLAIN = {0x2010: "-", 0x2011: "-", 0x00A0: " ", 0x202F: " ", 0x200B: None, 0x2060: None, 0xFE0F: None, 0xFEFF: None}
# What an arrow or a line through it has made past: `~~blocked~~ → pending` is pending.
_PAST = re.compile(r"[^\w~]*(?:~~[^~]*~~[^\w~]*|[\w-]{1,40}[^\w~→>(]{0,9}(?:→|->|=>)[^\w~]*)")
_WORD = re.compile(
    r"[^\w~]*(?P<word>ready[ _-]for[ _-]implementation|implementation[ _-]ready|gathering[ _-]evidence|n/a"
    r"|in[ _-](?:progress|planning|review)|blocked[ _-]escalation|[\w-]+)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_HEAD = 300  # a state stands at the front of its line, whatever follows
_NAMES = re.compile(
    r"(?P<focus>focus_issue|selected_focus)|(?P<dwell>dwell_count)|(?P<state>action_state)|(?P<action_type>actiontype)"
    r"|(?P<artifacts>artifact_path)|(?P<documents_reviewed>docs_reviewed)|(?P<next_action>next|next_actions|next_step)"
    r"|(?P<goals>goal)|(?P<depends_on>dependencies)|(?P<attempts>attempts_history)|(?P<evidence>evidence_pointer)"
    r"|(?P<return_condition>return_conditions)|(?P<id>finding|finding_id|item|initiative)|(?P<title>task_description|task)"
)


def canonical(key: str) -> str:
    """Return the one name of a field for all its spellings, such as ``action_type`` for ``Action type``."""
    name = re.sub(r"\W+", "_", key.lower()).strip("_")
    found = _NAMES.fullmatch(name)
    return (found.lastgroup if found else None) or name


def plain(text: str) -> str:
    """Return `text` with ordinary hyphens and blanks, so that ids and words can be compared."""
    return text if text.isascii() else _GLUE.sub("", text).translate(_PLAIN)


def find_foreign_ids(text: str) -> tuple[str, ...]:
    """Return the ids in `text`, each once: ``DB-AT-028``, ``fix-parity-001``, with a suffix such as ``.F1`` or not."""
    return tuple(dict.fromkeys(_ID.findall(plain(text))))


def same_stamp(one: str, other: str) -> bool:
    """Whether two stamps name one moment, in whatever spelling; a date is every moment of its day."""
    a, b = (re.sub(r"\D", "", stamp) or stamp for stamp in (one, other))
    return bool(a and b) and (a.startswith(b) or b.startswith(a))


def word_and_note(text: str) -> tuple[str, str]:
    """Split ``[planning] — why`` and its like into the one word that counts, in lower case, and the rest."""
    rest = whole = plain(text[:_HEAD])
    while match := _PAST.match(rest):
        rest = rest[match.end() :]
    found = _WORD.match(rest)
    if found is None:
        return ("done" if set("✅✓✔☑") & set(rest) else ""), text.strip()
    note = (text if rest != whole else (found["rest"] + text[_HEAD:]).lstrip("*_`])} \t—–:;,.-")).strip()
    bracketed = note.startswith("(") and note.endswith(")")
    return re.sub(r"[ -]", "_", found["word"].lower()), note[1:-1] if bracketed else note


def _comparable(name: str, text: str) -> frozenset[str]:
    """Return what counts in a value of field `name`: its ids, its path or its letters, if it has any."""
    if name == "focus":
        return frozenset(found.partition(".")[0].upper() for found in find_foreign_ids(text))
    if name == "artifacts":
        return frozenset({(value_or_none(text) or "n/a").rstrip("/")})
    return frozenset(filter(None, ["".join(filter(str.isalnum, plain(text).lower()))]))


def contradict(name: str, values: Iterable[str]) -> bool:
    """Whether two neighbours say different things; where no single word is asked for, one may lie in the other."""
    # Neighbours are enough: between `A` and `B`, `A → B` says how the one became the other.
    said = [what for value in values if (what := _comparable(name, value))]
    exact = name in WORDS or name == "focus"
    return any(
        not (one & other or (not exact and any(a in b or b in a for a in one for b in other)))
        for one, other in pairwise(said)
    )
