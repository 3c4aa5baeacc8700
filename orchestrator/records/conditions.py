"""Return conditions: what a machine can see for itself before an item goes on, and what only a person can say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from orchestrator.records.rows import wrong_command
from orchestrator.records.text import shown

__all__ = ["Condition", "ConditionKind", "due_time", "machine_can_tell", "parse_conditions", "wrong_condition"]


class ConditionKind(StrEnum):
    """What a condition looks at."""

    ITEM = "item"
    FINDING = "finding"
    TIME = "time"
    FILE = "file"
    COMMAND = "command"
    PERSON = "person"


_NAME = r"`?(?P<subject>[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+)`?"
_FORMS = (
    (ConditionKind.ITEM, re.compile(rf"{_NAME}(?: is)? done")),
    (ConditionKind.FINDING, re.compile(rf"finding {_NAME}(?: is)? resolved")),
    (ConditionKind.TIME, re.compile(r"after (?P<subject>\d{4}-\d\d-\d\d\S*)")),
    (ConditionKind.FILE, re.compile(r"file (?:`(?P<subject>[^`]+)`|(?P<bare>[^`\s]+)) exists")),
    (ConditionKind.COMMAND, re.compile(r"command `(?P<subject>[^`]+)` exits 0")),
)


@dataclass(frozen=True)
class Condition:
    """One condition: its text as written, and the id, time, path or command it is about."""

    kind: ConditionKind
    subject: str
    text: str


def parse_conditions(text: str) -> tuple[Condition, ...]:
    """Read a return condition, one a line: all of them have to hold; a line of no known form is for a person."""
    found = []
    for line in filter(None, (line.strip().removeprefix("- ").strip() for line in text.split("\n"))):
        matches = ((kind, form.fullmatch(line)) for kind, form in _FORMS)
        kind, match = next(((k, m) for k, m in matches if m), (ConditionKind.PERSON, None))
        named = match.groupdict() if match else {}
        found.append(Condition(kind, named.get("subject") or named.get("bare") or line, line))
    return tuple(found)


def machine_can_tell(conditions: Iterable[Condition]) -> bool:
    """Whether there are conditions, and none of them needs a person."""
    kinds = {condition.kind for condition in conditions}
    return bool(kinds) and ConditionKind.PERSON not in kinds


def due_time(condition: Condition) -> datetime | None:
    """Return the time a condition waits for, UTC where it names no zone; None where there is no such time."""
    try:
        time = datetime.fromisoformat(condition.subject)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def wrong_condition(condition: Condition) -> tuple[str, str]:
    """Return what was expected of a condition and what stands there instead; two empty texts when it is right."""
    if condition.kind is ConditionKind.TIME and due_time(condition) is None:
        return "a time such as 2026-12-01T00:00Z", shown(condition.subject)
    if condition.kind is ConditionKind.COMMAND:
        return wrong_command("Return Condition", condition.subject)
    return "", ""
