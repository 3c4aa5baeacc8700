"""Where the loop's documents stand in a repository."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from orchestrator.errors import RecordError
from orchestrator.records.items import Item
from orchestrator.records.stamps import folder_stamp, parse_stamp
from orchestrator.records.text import shown

__all__ = [
    "ARCHIVES",
    "FINDINGS",
    "HANDOFF",
    "LEDGER",
    "MANIFEST",
    "MEASURED",
    "MEMORY",
    "OWN_DOCUMENTS",
    "PLANS",
    "hub_path",
    "is_record",
    "latest_stamp",
    "plan_path",
    "stamp_of_hub",
    "summary_path",
]

PLANS = "plans/active"
MEMORY = "galph_memory.md"
HANDOFF = "input.md"
LEDGER = "docs/fix_plan.md"
FINDINGS = "docs/findings.md"
MANIFEST = "manifest.json"
MEASURED = "measured.json"
ARCHIVES = {MEMORY: "docs/archive/galph_memory.md", LEDGER: "docs/archive/fix_plan.md"}
OWN_DOCUMENTS = (MEMORY, HANDOFF, LEDGER, FINDINGS)

_RECORD = re.compile(
    r"galph_memory\.md|input\.md|docs/fix_plan\.md|docs/archive/(?:galph_memory|fix_plan)\.md"
    rf"|{PLANS}/[^/]+/(?:summary\.md|implementation\.md|reports/.+)"
)
_HUB = re.compile(rf"{PLANS}/[^/]+/reports/([^/]+)/")


def is_record(path: str) -> bool:
    """Whether a path is one of the loop's own records, which the harness renders: documents, plans and hubs."""
    return _RECORD.fullmatch(path) is not None


def plan_path(item: Item) -> str:
    """Return where an item's plan stands."""
    return item.working_plan or f"plans/active/{item.id}/implementation.md"


def summary_path(item_id: str) -> str:
    """Return where an item's turn summaries stand."""
    return f"plans/active/{item_id}/summary.md"


def hub_path(item_id: str, stamp: datetime) -> str:
    """Return the hub of an iteration on an item, with a slash at its end."""
    return f"plans/active/{item_id}/reports/{folder_stamp(stamp)}/"


def stamp_of_hub(path: str) -> datetime:
    """Return the time stamp in a hub's path, RecordError when there is none."""
    name = path.rstrip("/").rpartition("/")[2]
    stamp = parse_stamp(name)
    if stamp is None:
        raise RecordError(f"expected a hub named like 2026-01-15T225850Z, found {shown(name)}")
    return stamp


def latest_stamp(paths: Iterable[str]) -> datetime | None:
    """Return the latest stamp of the hubs that files lie in; None where there is no hub."""
    stamps = {parse_stamp(match[1]) for path in paths if (match := _HUB.match(path))}
    return max((stamp for stamp in stamps if stamp), default=None)
