"""Which items can be worked on now, in which order, and why the others cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.policy.rules import Breach, breach
from orchestrator.records.conditions import ConditionKind, machine_can_tell
from orchestrator.records.ledger import Item, Ledger, Priority, Status

__all__ = [
    "STALE_AFTER",
    "WIP_LIMIT",
    "Standing",
    "candidates",
    "check_circle",
    "find_circle",
    "find_strangers",
    "is_stale",
    "standings",
]

WIP_LIMIT = 2
STALE_AFTER = 4  # iterations on other items, after which an item in progress is told to lie idle


@dataclass(frozen=True)
class Standing:
    """One item as the policy sees it, and why it is not runnable (empty when it is)."""

    item: Item
    obstacle: str

    @property
    def runnable(self) -> bool:
        """Whether work on the item can go on now."""
        return not self.obstacle

    @property
    def waits(self) -> bool:
        """Whether the item may go on without a person who asks for it: asking again later makes sense."""
        held = self.item.status is Status.BLOCKED and machine_can_tell(self.item.conditions)
        return held or self.item.status is Status.WAITING


def _awaited(item: Item, *kinds: ConditionKind) -> tuple[str, ...]:
    return tuple(condition.subject for condition in item.conditions if condition.kind in kinds)


def find_strangers(ledger: Ledger, findings: Mapping[str, bool]) -> Iterator[Breach]:
    """Give a breach for every dependency and return condition on something that is nowhere."""
    items = {item.id for item in ledger.items}
    for item in ledger.items:
        named = [("Depends on", name, name in items or name in findings) for name in item.depends_on]
        for kind, known in ((ConditionKind.ITEM, items), (ConditionKind.FINDING, findings.keys())):
            named += [("Return Condition", name, name in known) for name in _awaited(item, kind)]
        for key, name, is_known in named:
            if not is_known:
                found = f"{item.id} waits for {name} ({key}), which is nowhere"
                yield breach("LEDGER-UNKNOWN", found, f"{ledger.path}:{item.line_of(key)}")


def check_circle(ledger: Ledger) -> Iterator[Breach]:
    """Give a breach for items that wait for each other."""
    circle = find_circle(ledger)
    if circle:
        found = f"items wait for each other in a circle: {' → '.join(circle)}"
        yield breach("LEDGER-CIRCLE", found, f"{ledger.path}:{ledger.item(circle[0]).line}")


def find_circle(ledger: Ledger) -> tuple[str, ...]:
    """Ids of one circle of items that wait for each other, in order; empty when there is none."""
    needs = {item.id: (*item.depends_on, *_awaited(item, ConditionKind.ITEM)) for item in ledger.items}
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


def _why_held(item: Item) -> str:
    """Return what an item that waits or is blocked waits for, and who sees when it goes on."""
    condition = "; ".join(condition.text for condition in item.conditions)
    if not condition:
        return item.status_note or "no return condition is given"
    sees_itself = machine_can_tell(item.conditions) and item.status is not Status.BLOCKED_ESCALATION
    returns = f"goes on when {condition}" if sees_itself else f"a person decides: {condition}"
    return "; ".join(filter(None, (item.status_note, returns)))


def _obstacle(item: Item, ledger: Ledger, findings: Mapping[str, bool], lowest: Priority) -> str:
    status = item.status
    if status in {Status.DONE, Status.ARCHIVED}:
        return status.value
    if status in {Status.WAITING, Status.BLOCKED, Status.BLOCKED_ESCALATION}:
        return f"{status.value}: {_why_held(item)}"
    by_id = {other.id: other for other in ledger.items}
    for needed in item.depends_on:
        if needed in by_id and by_id[needed].status is not Status.DONE:
            return f"depends on {needed}, not done yet"
        if needed not in by_id and not findings.get(needed):
            return f"depends on finding {needed}, not resolved yet"
    if item.priority < lowest:
        return f"priority {item.priority.label} is below {lowest.label}"
    return ""


def standings(
    ledger: Ledger, lowest: Priority, further: Callable[[Item], str], findings: Mapping[str, bool]
) -> tuple[Standing, ...]:
    """Every item with its obstacle.

    Parameters
    ----------
    ledger : Ledger
        The items, with the status the run knows.
    lowest : Priority
        Items below it are not worked on.
    further : callable
        Names an obstacle the ledger cannot know (a missing plan, no agent); empty where there is none.
    findings : mapping of str to bool
        For every finding whether it is resolved.
    """
    return tuple(Standing(i, _obstacle(i, ledger, findings, lowest) or further(i)) for i in ledger.items)


def is_stale(item: Item, last_worked: int, iteration: int) -> bool:
    """Whether an item in progress lay idle while others were worked on; both numbers are of iterations."""
    return item.status is Status.IN_PROGRESS and iteration - last_worked >= STALE_AFTER


def candidates(found: Sequence[Standing]) -> tuple[Item, ...]:
    """Runnable items in the order they should be taken: work in progress, then priority, then the ledger's order.

    With `WIP_LIMIT` items in progress no further one is started.
    """
    runnable = [standing for standing in found if standing.runnable]
    begun = [standing for standing in runnable if standing.item.status is Status.IN_PROGRESS]
    pool = begun if len(begun) >= WIP_LIMIT else runnable
    ordered = sorted(pool, key=lambda s: (s.item.status is not Status.IN_PROGRESS, -s.item.priority))
    return tuple(standing.item for standing in ordered)
