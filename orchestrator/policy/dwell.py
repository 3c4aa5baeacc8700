"""Dwell: completed iterations of a focus since the last turn accepted as progress, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from orchestrator.records.ledger import Kind, Status

__all__ = ["Tier", "dwell_after", "limits_of", "standing_after", "tier_of"]


class Tier(IntEnum):
    """Escalation of a focus that stands still."""

    NONE = 0
    WARNED = 1  # the prompt shows it; a handoff without something runnable is refused at any dwell
    BLOCKED = 2  # the item is blocked, with the report the harness writes
    ESCALATED = 3  # only a person brings it back


_LIMITS = {Kind.RESEARCH: (4, 8, 12)}
_DEFAULT_LIMITS = (2, 4, 6)


def limits_of(kind: Kind) -> tuple[int, int, int]:
    """Dwell at which tiers 1, 2 and 3 are reached, for an item of this kind."""
    return _LIMITS.get(kind, _DEFAULT_LIMITS)


def dwell_after(dwell: int, *, progress: bool) -> int:
    """Dwell after one more completed iteration."""
    return 0 if progress else dwell + 1


def tier_of(dwell: int, kind: Kind) -> Tier:
    """Highest tier whose limit the dwell has reached."""
    return Tier(sum(dwell >= limit for limit in limits_of(kind)))


def standing_after(dwell: int, kind: Kind, reasons: Sequence[str]) -> tuple[Status, str]:
    """Return status and note of an unfinished item whose iteration ended with this dwell."""
    tier = tier_of(dwell, kind)
    if tier < Tier.BLOCKED:
        return Status.IN_PROGRESS, ""
    why = reasons[0] if reasons else "no progress"
    status = Status.BLOCKED_ESCALATION if tier is Tier.ESCALATED else Status.BLOCKED
    return status, f"{dwell} iterations without progress, the last one: {why}; a person decides: `clear` lets it go on"
