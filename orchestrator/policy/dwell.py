"""Dwell: completed iterations of a focus since the last turn accepted as progress, and what follows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.policy.closure import is_complete
from orchestrator.policy.rules import breach
from orchestrator.records.ledger import Item, Kind, Status
from orchestrator.records.plan import Plan
from orchestrator.state import ItemState

__all__ = ["GRANTED", "Fate", "dwell_after", "fate_of", "limits_of", "standing_after", "waking"]

GRANTED = 2  # iterations that an item which stood still gets when its return condition is met
_LIMITS = {Kind.RESEARCH: (4, 8, 12)}
_DEFAULT_LIMITS = (2, 4, 6)


@dataclass(frozen=True)
class Fate:
    """What an iteration on an item comes to for the item."""

    dwell: int
    status: Status
    note: str


def limits_of(item: Item) -> tuple[int, ...]:
    """Dwell at which tiers 1, 2 and 3 are reached: the item's own limits, else those of its kind.

    At tier 1 the prompts say so, and a handoff has to carry work on an open criterion; at tier 2 the item is
    blocked, with the report the harness writes; from tier 3 only a person brings it back.
    """
    return item.dwell_limits or _LIMITS.get(item.kind, _DEFAULT_LIMITS)


def dwell_after(dwell: int, *, progress: bool) -> int:
    """Dwell after one more completed iteration."""
    return 0 if progress else dwell + 1


def standing_after(dwell: int, item: Item, reasons: Sequence[str], granted: int = 0) -> tuple[Status, str]:
    """Return status and note of an unfinished item whose iteration ended with this dwell.

    A return condition that was met lets the item go on below the dwell `granted`, though not beyond tier 3.
    """
    _, blocked, escalated = limits_of(item)
    if dwell < min(max(blocked, granted), escalated):
        return Status.IN_PROGRESS, ""
    why = reasons[0] if reasons else "no progress"
    found = f"{dwell} iterations without progress, the last one: {why}"
    if dwell >= escalated:
        return Status.BLOCKED_ESCALATION, breach("DWELL-ESCALATION", found).text
    return Status.BLOCKED, breach("DWELL-STILL", found).text


def fate_of(
    item: Item,
    known: ItemState,
    plan: Plan | None,
    *,
    progress: bool,
    verified: Collection[str] = (),
    reasons: Sequence[str] = (),
) -> Fate:
    """Return what an iteration comes to; `verified` are the rows it verified, `plan` says whether any is left."""
    dwell = dwell_after(known.dwell, progress=progress)
    if plan and is_complete(plan, {*known.verified, *verified}):
        return Fate(dwell, Status.DONE, "every criterion verified")
    return Fate(dwell, *standing_after(dwell, item, reasons, known.granted))


def waking(item: Item, known: ItemState, *, holds: bool) -> tuple[str, dict[str, Any]] | None:
    """Return the journal's event when an item that waits or is blocked goes on, or what it waits for is gone again."""
    if item.status is Status.WAITING and holds:
        return "item.status", {"item": item.id, "status": Status.PENDING.value, "note": ""}
    if item.status is Status.BLOCKED and holds is not known.met:
        note = "its return condition is met" if holds else ""
        return "item.condition", {"item": item.id, "met": holds, "granted": known.dwell + GRANTED, "note": note}
    return None
