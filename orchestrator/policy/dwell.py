"""Dwell: completed iterations of a focus since the last turn accepted as progress, and what follows."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.records.ledger import Kind, Status

__all__ = ["dwell_after", "limits_of", "standing_after"]


_LIMITS = {Kind.RESEARCH: (4, 8, 12)}
_DEFAULT_LIMITS = (2, 4, 6)


def limits_of(kind: Kind) -> tuple[int, int, int]:
    """Dwell at which tiers 1, 2 and 3 are reached, for an item of this kind.

    At tier 1 the prompt says so (a handoff without something runnable is refused at any dwell); at tier 2 the item is
    blocked, with the report the harness writes; from tier 3 only a person brings it back.
    """
    return _LIMITS.get(kind, _DEFAULT_LIMITS)


def dwell_after(dwell: int, *, progress: bool) -> int:
    """Dwell after one more completed iteration."""
    return 0 if progress else dwell + 1


def standing_after(dwell: int, kind: Kind, reasons: Sequence[str]) -> tuple[Status, str]:
    """Return status and note of an unfinished item whose iteration ended with this dwell."""
    _, blocked, escalated = limits_of(kind)
    if dwell < blocked:
        return Status.IN_PROGRESS, ""
    why = reasons[0] if reasons else "no progress"
    status = Status.BLOCKED_ESCALATION if dwell >= escalated else Status.BLOCKED
    return status, f"{dwell} iterations without progress, the last one: {why}; a person decides: `clear` lets it go on"
