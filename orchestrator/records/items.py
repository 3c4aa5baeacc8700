"""One item of the ledger: its fields as a record, and the lines they are written on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import lru_cache

from orchestrator.records.conditions import Condition, parse_conditions
from orchestrator.records.text import read_field, split_lines

__all__ = [
    "ATTEMPTS",
    "KEYS",
    "PATH_FIELDS",
    "REQUIRED",
    "TEXT_FIELDS",
    "Attempt",
    "Item",
    "Kind",
    "Priority",
    "Status",
    "attempt_line",
    "item_lines",
    "parse_attempt",
    "path_text",
    "status_text",
]

_ATTEMPT = re.compile(r"[ \t]+- \*(?P<stamp>\S+) \((?P<what>.*?)\):\*(?:[ \t]+(?P<rest>.*))?")
_MARKERS = {"metrics": "Metrics:", "artifacts": "Artifacts:", "next_actions": "Next Actions:"}
TEXT_FIELDS = {
    "Owner/Date": "owner",
    "Engineer": "engineer",
    "Goals": "goals",
    "Exit Criteria": "exit_criteria",
    "Return Condition": "return_condition",
}
PATH_FIELDS = {"Working Plan": "working_plan", "Reports Hub": "reports_hub"}
REQUIRED = ("Depends on", "Priority", "Status")
ATTEMPTS = "Attempts History"
KEYS = (*REQUIRED, "Kind", "Dwell Limits", *PATH_FIELDS, *TEXT_FIELDS, ATTEMPTS)


class Status(StrEnum):
    """Where an item stands."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    WAITING = "waiting"
    BLOCKED = "blocked"
    BLOCKED_ESCALATION = "blocked_escalation"
    DONE = "done"
    ARCHIVED = "archived"


class Priority(IntEnum):
    """How much an item matters; ``Priority.HIGH > Priority.LOW``."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The word the ledger uses, such as ``High``."""
        return self.name.capitalize()


class Kind(StrEnum):
    """What kind of work an item is; its limits and what counts as progress depend on it."""

    CODE = "code"
    STUDY = "study"
    RESEARCH = "research"
    DOCS = "docs"


@dataclass(frozen=True)
class Attempt:
    """One turn's line in an item's history, all on one line."""

    stamp: str
    what: str
    text: str
    metrics: str = ""
    artifacts: str = ""
    next_actions: str = ""


@dataclass(frozen=True)
class Item:
    """One item of the ledger.

    Attributes
    ----------
    depends_on : tuple of str
        Ids of items or findings; a word that is none is kept, and is a problem.
    priority, status : Priority, Status
        Where the ledger's word cannot be read there is a problem, and the item counts as `LOW` and
        `BLOCKED`: it cannot be chosen.
    owner, engineer, goals, exit_criteria, return_condition : str
        Text, several lines joined by line breaks; empty when absent.
    working_plan, reports_hub : str
        Paths; empty when absent or ``none``.
    dwell_limits : tuple of int
        Dwell at which the item's three tiers are reached; empty where its kind decides.
    attempts : tuple of Attempt
        Newest last.
    """

    id: str
    title: str
    depends_on: tuple[str, ...] = ()
    priority: Priority = Priority.MEDIUM
    status: Status = Status.PENDING
    status_note: str = ""
    kind: Kind = Kind.CODE
    dwell_limits: tuple[int, ...] = ()
    owner: str = ""
    working_plan: str = ""
    reports_hub: str = ""
    engineer: str = ""
    goals: str = ""
    exit_criteria: str = ""
    return_condition: str = ""
    attempts: tuple[Attempt, ...] = ()
    line: int = field(default=0, compare=False)
    raw: str = field(default="", compare=False, repr=False)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What has to hold before work on the item goes on, as its `Return Condition:` says."""
        return parse_conditions(self.return_condition)

    def line_of(self, key: str) -> int:
        """Return the number of the line that holds a field; that of the heading where none does."""
        entries = enumerate(map(read_field, split_lines(self.raw)), self.line)
        return next((number for number, entry in entries if entry and entry[0] == key), self.line)


@lru_cache(maxsize=2048)  # a ledger is read several times a turn, and its attempts stay
def parse_attempt(line: str) -> Attempt | None:
    """Read ``  - *stamp (what):* text Metrics: … Artifacts: … Next Actions: …``, None when it has another form."""
    match = _ATTEMPT.fullmatch(line)
    if match is None:
        return None
    rest, parts = match["rest"] or "", {}
    for name, marker in reversed(_MARKERS.items()):
        before, found, after = rest.rpartition(marker)
        if found:
            rest, parts[name] = before, after.strip()
    return Attempt(match["stamp"], match["what"], rest.strip(), **parts)


def _text_lines(key: str, text: str) -> list[str]:
    if "\n" not in text:
        return [f"- {key}: {text}"] if text else []
    return [f"- {key}:", *(f"  {line}".rstrip() for line in text.split("\n"))]


def attempt_line(attempt: Attempt) -> str:
    """Return the line of an attempt, without a newline."""
    parts = [f"  - *{attempt.stamp} ({attempt.what}):*", attempt.text]
    parts += [f"{marker} {value}" for name, marker in _MARKERS.items() if (value := getattr(attempt, name))]
    return " ".join(filter(None, parts))


def status_text(status: Status, note: str) -> str:
    """Return what stands behind ``Status:``."""
    return f"{status.value} — {note}" if note else status.value


def path_text(path: str) -> str:
    """Return what stands behind ``Working Plan:`` and ``Reports Hub:``."""
    return f"`{path}`" if path else "none"


def item_lines(item: Item) -> list[str]:
    """Return the lines of an item in our form."""
    return [
        f"### [{item.id}] {item.title}",
        f"- Depends on: {', '.join(item.depends_on) or 'None'}",
        f"- Priority: **{item.priority.label}**",
        f"- Status: {status_text(item.status, item.status_note)}",
        f"- Kind: {item.kind.value}",
        *([f"- Dwell Limits: {'/'.join(map(str, item.dwell_limits))}"] if item.dwell_limits else []),
        *(f"- {key}: {path_text(getattr(item, name))}" for key, name in PATH_FIELDS.items()),
        *(line for key, name in TEXT_FIELDS.items() for line in _text_lines(key, getattr(item, name))),
        f"- {ATTEMPTS}:",
        *(attempt_line(attempt) for attempt in item.attempts),
    ]
