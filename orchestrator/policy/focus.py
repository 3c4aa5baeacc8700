"""Which items can be worked on now, in which order, and why the others cannot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.records.ledger import Item, Ledger, Priority, Status

__all__ = ["WIP_LIMIT", "Standing", "candidates", "find_circle", "standings"]

WIP_LIMIT = 2


@dataclass(frozen=True)
class Standing:
    """One item as the policy sees it, and why it is not runnable (empty when it is)."""

    item: Item
    obstacle: str

    @property
    def runnable(self) -> bool:
        """Whether work on the item can go on now."""
        return not self.obstacle


def find_circle(ledger: Ledger) -> tuple[str, ...]:
    """Ids of one circle of dependencies, in order; empty when there is none."""
    needs = {item.id: item.depends_on for item in ledger.items}
    settled: set[str] = set()
    for start in needs:
        trail: list[str] = []
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            item_id, leaving = stack.pop()
            if leaving:
                settled.add(trail.pop())
            elif item_id in trail:
                return (*trail[trail.index(item_id) :], item_id)
            elif item_id in needs and item_id not in settled:
                trail.append(item_id)
                stack.append((item_id, True))
                stack.extend((needed, False) for needed in needs[item_id])
    return ()


def _obstacle(item: Item, ledger: Ledger, lowest: Priority) -> str:
    status = item.status
    if status in {Status.DONE, Status.ARCHIVED}:
        return status.value
    if status in {Status.WAITING, Status.BLOCKED, Status.BLOCKED_ESCALATION}:
        return f"{status.value}: {item.status_note or item.return_condition or 'no return condition is given'}"
    by_id = {other.id: other for other in ledger.items}
    for needed in item.depends_on:
        if needed not in by_id:
            return f"depends on {needed}, which docs/fix_plan.md does not have"
        if by_id[needed].status is not Status.DONE:
            return f"depends on {needed}, not done yet"
    if item.priority < lowest:
        return f"priority {item.priority.label} is below {lowest.label}"
    return ""


def standings(ledger: Ledger, lowest: Priority, further: Callable[[Item], str]) -> tuple[Standing, ...]:
    """Every item with its obstacle; `further` may name one the ledger cannot know (a missing plan, no agent)."""
    return tuple(Standing(item, _obstacle(item, ledger, lowest) or further(item)) for item in ledger.items)


def candidates(found: Sequence[Standing]) -> tuple[Item, ...]:
    """Runnable items in the order they should be taken: work in progress, then priority, then the ledger's order.

    With `WIP_LIMIT` items in progress no further one is started.
    """
    runnable = [standing for standing in found if standing.runnable]
    begun = [standing for standing in runnable if standing.item.status is Status.IN_PROGRESS]
    pool = begun if len(begun) >= WIP_LIMIT else runnable
    ordered = sorted(pool, key=lambda s: (s.item.status is not Status.IN_PROGRESS, -s.item.priority))
    return tuple(standing.item for standing in ordered)
