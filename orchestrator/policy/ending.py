"""When a run ends, and with which exit code: pure, and every code means one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.errors import ExitCode
from orchestrator.policy.focus import Standing
from orchestrator.records.ledger import Status
from orchestrator.state import State

__all__ = ["FAILURES_IN_A_ROW", "Ending", "limit_reached", "nothing_runnable"]

FAILURES_IN_A_ROW = 3
_LEFT = (Status.BLOCKED, Status.BLOCKED_ESCALATION, Status.WAITING, Status.IN_PROGRESS, Status.PENDING)


@dataclass(frozen=True)
class Ending:
    """Why the run ended, in a sentence, with its exit code."""

    code: ExitCode
    reason: str


def limit_reached(
    state: State, *, iterations: int, minutes: float, max_iterations: int | None, max_minutes: float | None
) -> Ending | None:
    """Return the ending when a limit of this call is reached; `iterations` and `minutes` count from its start.

    What a person added to the limits since then counts with them.
    """
    for role, failures in state.failures.items():
        if failures >= FAILURES_IN_A_ROW:
            reason = f"{failures} turns of {role} in a row were abandoned; their logs are in .orchestrator/turns/"
            return Ending(ExitCode.AGENT_FAILED, reason)
    if max_iterations is not None and iterations >= max_iterations + state.more_iterations:
        return Ending(ExitCode.LIMIT, f"the limit of {max_iterations + state.more_iterations} iterations is reached")
    if max_minutes is not None and minutes >= max_minutes + state.more_minutes:
        return Ending(ExitCode.LIMIT, f"the limit of {max_minutes + state.more_minutes:g} minutes is reached")
    return None


def nothing_runnable(standings: Sequence[Standing], state: State) -> Ending:
    """Return the ending when no item can be worked on.

    Work that was finished makes the run a success, whatever waits or is blocked beside it.
    """
    by_status = {status: [s.item.id for s in standings if s.item.status is status] for status in Status}
    finished = [item_id for item_id, item in state.items.items() if item.status == Status.DONE]
    waiting = [s.item.id for s in standings if s.waits]
    stalled = [i for i, item in state.items.items() if item.status in {Status.BLOCKED, Status.BLOCKED_ESCALATION}]
    if finished:
        left = {status.value: by_status[status] for status in _LEFT if by_status[status]}
        rest = "".join(f"; {name}: {', '.join(items)}" for name, items in left.items())
        return Ending(ExitCode.DONE, f"nothing runnable is left; verified: {', '.join(finished)}{rest}")
    if stalled:
        return Ending(ExitCode.STALLED, f"nothing runnable is left; without progress: {', '.join(stalled)}")
    if waiting:
        return Ending(ExitCode.WAITING, f"nothing runnable is left; waiting: {', '.join(waiting)}")
    blocked = by_status[Status.BLOCKED] + by_status[Status.BLOCKED_ESCALATION]
    if blocked:
        return Ending(ExitCode.BLOCKED, f"nothing runnable is left; blocked on a person: {', '.join(blocked)}")
    return Ending(ExitCode.DONE, "nothing to do")
