"""Dwell: completed cycles of a focus since the last turn accepted as progress, and what follows from it."""

from __future__ import annotations

from enum import IntEnum

from orchestrator.records.ledger import Kind

__all__ = ["Tier", "dwell_after", "limits_of", "tier_of"]


class Tier(IntEnum):
    """Escalation of a focus that stands still."""

    NONE = 0
    HANDOFF = 1  # the next handoff must carry something runnable, or another focus
    BLOCKED = 2  # the item is blocked, with the report the harness writes
    ESCALATED = 3  # only a person brings it back


_LIMITS = {Kind.RESEARCH: (4, 8, 12)}
_DEFAULT_LIMITS = (2, 4, 6)


def limits_of(kind: Kind) -> tuple[int, int, int]:
    """Dwell at which tiers 1, 2 and 3 are reached, for an item of this kind."""
    return _LIMITS.get(kind, _DEFAULT_LIMITS)


def dwell_after(dwell: int, *, progress: bool) -> int:
    """Dwell after one more completed cycle."""
    return 0 if progress else dwell + 1


def tier_of(dwell: int, kind: Kind) -> Tier:
    """Highest tier whose limit the dwell has reached."""
    return Tier(sum(dwell >= limit for limit in limits_of(kind)))
