"""The harness's own fields in the loop's documents, rendered again after every turn; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from orchestrator.facts import TurnRecord
from orchestrator.policy.closure import ticks
from orchestrator.records.ledger import (
    Attempt,
    Priority,
    Status,
    parse_ledger,
    with_attempt,
    with_priority,
    with_reports_hub,
    with_status,
)
from orchestrator.records.memory import MemoryEntry, render_entry
from orchestrator.records.plan import parse_plan, with_ticks
from orchestrator.records.summary import TurnSummary, with_turn
from orchestrator.records.text import with_block
from orchestrator.state import ItemState
from orchestrator.submissions import new_sentences

__all__ = ["ledger_after", "memory_after", "plan_after", "summary_after", "with_attempt_of"]

_FILES_SHOWN = 6
_COMMIT_SHOWN = 8


def memory_after(
    before: str,
    entry: MemoryEntry,
    record: TurnRecord,
    *,
    stamp: str,
    dwell_note: str,
    last_commit: str | None,
    git_sync: str,
) -> str:
    """Return the memory with a supervisor's entry at its end, the harness's values in the fields that are its own."""
    entry = replace(
        entry,
        timestamp=stamp,
        focus=record.focus,
        dwell=record.dwell,
        dwell_note=dwell_note,
        git_sync=git_sync,
        state=entry.state or "ready_for_implementation",
        ralph_last_commit=last_commit and last_commit[:_COMMIT_SHOWN],
        artifacts=record.hub,
        next_action=entry.next_action or "do input.md's Do Now",
    )
    return with_block(before, render_entry(entry))


def ledger_after(text: str, record: TurnRecord, known: Mapping[str, ItemState]) -> str:
    """Return the ledger with every status and priority the run knows, and the hub of the turn's focus."""
    for item in parse_ledger(text).items:
        state = known.get(item.id, ItemState())
        if state.status is not None and (item.status.value, item.status_note) != (state.status, state.note):
            text = with_status(text, item.id, Status(state.status), state.note)
        if state.priority and item.priority.label != state.priority:
            text = with_priority(text, item.id, Priority[state.priority.upper()])
    return with_reports_hub(text, record.focus, f"`{record.hub}`") if record.has_focus else text


def _next(record: TurnRecord, note: str) -> str:
    return note or ("the next phase" if record.progress else "a correction of this phase")


def with_attempt_of(text: str, record: TurnRecord, stamp: str, note: str) -> str:
    """Return the ledger with the turn as the newest attempt at its focus."""
    attempt = Attempt(
        stamp=stamp,
        what=f"{record.turn}, phase {record.phase}" if record.phase else record.turn,
        text=f"{record.verdict.value}.",
        metrics=("; ".join(record.reasons) or record.tests or "none").rstrip(".") + ".",
        artifacts=f"`{record.hub}`.",
        next_actions=_next(record, note) + ".",
    )
    return with_attempt(text, record.focus, attempt)


def plan_after(path: str, text: str, verified: Collection[str]) -> dict[str, str]:
    """Return the plan with its boxes ticked by evidence, by path; nothing when there is no plan."""
    return {path: with_ticks(text, ticks(parse_plan(text, path), verified))} if text else {}


def summary_after(before: str, after: str, record: TurnRecord, stamp: str, files: Sequence[str]) -> str:
    """Return the summary with what the engineer wrote and what the harness measured as its newest section."""
    added, _ = new_sentences(before, after, "summary.md")
    shown = ", ".join(files[:_FILES_SHOWN]) + (", …" if len(files) > _FILES_SHOWN else "")
    verdict = record.verdict.value.replace("-", " ")
    turn = TurnSummary(
        stamp=stamp,
        sentences=added.sentences if added else ("The engineer left no summary.",),
        measured=": ".join([verdict, "; ".join(record.reasons)]) if record.reasons else verdict,
        artifacts=f"{record.hub} ({shown})",
    )
    return with_turn(before, turn)
