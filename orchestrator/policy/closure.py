"""Which rows of a plan are open, which phase is next, and when an item is complete."""

from __future__ import annotations

from collections.abc import Collection

from orchestrator.records.plan import Phase, Plan, Row, RowState

__all__ = ["is_complete", "open_criteria", "open_phase", "open_rows", "ticks"]


def open_rows(phase: Phase, verified: Collection[str]) -> tuple[Row, ...]:
    """Machine rows of the phase that are not verified yet, in the plan's order."""
    return tuple(row for row in phase.rows if row.is_runnable and row.id not in verified)


def open_criteria(plan: Plan, verified: Collection[str]) -> frozenset[tuple[str | None, str | None, frozenset[str]]]:
    """Return what a machine would have to find for the plan to be complete, whatever its rows are called."""
    rows = (row for phase in plan.phases for row in open_rows(phase, verified))
    return frozenset((row.run, row.test, frozenset(row.expects)) for row in rows)


def open_phase(plan: Plan, verified: Collection[str]) -> Phase | None:
    """First phase with an open machine row; None when there is none left."""
    return next((phase for phase in plan.phases if open_rows(phase, verified)), None)


def is_complete(plan: Plan, verified: Collection[str]) -> bool:
    """Whether every machine row is verified; a plan without one is never complete by itself."""
    rows = [row for row in plan.rows if row.is_runnable]
    return bool(rows) and all(row.id in verified for row in rows)


def ticks(plan: Plan, verified: Collection[str]) -> dict[str, RowState]:
    """State of every row's box: machine rows by their evidence, rows of prose with their phase."""
    states = {}
    for phase in plan.phases:
        runnable = [row for row in phase.rows if row.is_runnable]
        phase_done = bool(runnable) and all(row.id in verified for row in runnable)
        for row in phase.rows:
            done = row.id in verified if row.is_runnable else phase_done
            states[row.id] = RowState.DONE if done else RowState.OPEN
    return states
