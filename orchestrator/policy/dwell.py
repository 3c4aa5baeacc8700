"""Dwell: completed iterations of a focus since the last turn accepted as progress, and what follows."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.policy.rules import breach
from orchestrator.records.ledger import Item, Kind, Status

__all__ = ["GRANTED", "dwell_after", "limits_of", "standing_after"]

GRANTED = 2  # iterations that an item which stood still gets when its return condition is met
_LIMITS = {Kind.RESEARCH: (4, 8, 12)}
_DEFAULT_LIMITS = (2, 4, 6)


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
