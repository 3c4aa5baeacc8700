"""The harness's own fields in the loop's documents, rendered again after every turn; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.agenda import Agenda, plan_path
from orchestrator.evidence.criteria import rows_digest
from orchestrator.facts import TurnRecord
from orchestrator.policy.closure import ticks
from orchestrator.records.handoff import Handoff, with_owned_fields
from orchestrator.records.ledger import Attempt, Status, parse_ledger, with_attempt, with_reports_hub, with_status
from orchestrator.records.memory import MemoryEntry, parse_memory, render_entry
from orchestrator.records.plan import parse_plan, with_ticks
from orchestrator.records.summary import TurnSummary, parse_summary, with_turn
from orchestrator.roles import HANDOFF, LEDGER, MEMORY

__all__ = [
    "Entry",
    "changed_rows",
    "engineer_documents",
    "find_new_entry",
    "new_sentences",
    "standing_items",
    "supervisor_documents",
]


@dataclass(frozen=True)
class Entry:
    """The entry a supervisor added to its memory, or why there is none to use."""

    entry: MemoryEntry | None
    refusals: tuple[str, ...] = ()


def find_new_entry(before: str, after: str) -> Entry:
    """Return the one entry that `after` appends to `before`."""
    if not after.startswith(before):
        return Entry(
            None,
            (f"{MEMORY}: entries that stand are closed; append yours at the end and change nothing else",),
        )
    known = len(parse_memory(before, MEMORY).entries)
    found = parse_memory(after, MEMORY).entries[known:]
    if len(found) != 1:
        return Entry(None, (f"{MEMORY}: expected one new entry at the end, found {len(found)}; append exactly one",))
    return Entry(found[0])


def changed_rows(before: str, after: str, path: str) -> bool:
    """Whether anything that decides a criterion differs between two versions of a plan."""
    return rows_digest(parse_plan(before, path)) != rows_digest(parse_plan(after, path))


def new_sentences(before: str, after: str, path: str) -> tuple[TurnSummary | None, tuple[tuple[int, str], ...]]:
    """Return the summary an engineer added on top, with its sentences and their line numbers."""
    old, new = parse_summary(before, path).turns, parse_summary(after, path).turns
    if len(new) <= len(old):
        return None, ()
    added = new[0]
    lines = after.splitlines()
    numbered = []
    for sentence in added.sentences:
        number = next((n for n, line in enumerate(lines, 1) if n >= added.line and sentence in line), added.line)
        numbered.append((number, sentence))
    return added, tuple(numbered)


def _ledger(text: str, record: TurnRecord, status: Status, note: str) -> str:
    text = with_status(text, record.focus, status, note)
    return with_reports_hub(text, record.focus, f"`{record.hub}`")


def supervisor_documents(
    texts: Mapping[str, str],
    entry: MemoryEntry,
    handoff: Handoff,
    record: TurnRecord,
    *,
    stamp: str,
    branch: str,
    last_commit: str | None,
    dwell_note: str,
) -> dict[str, str]:
    """Documents after a supervisor's turn, by path.

    `texts` holds the turn's versions: the memory before the turn under ``""``, the ledger and the handoff by path.
    """
    owned = replace(
        entry,
        timestamp=stamp,
        focus=record.focus,
        dwell=record.dwell,
        dwell_note=dwell_note,
        git_sync="off",
        state=entry.state or "ready_for_implementation",
        action_state_body=entry.state or "ready_for_implementation",
        ralph_last_commit=last_commit and last_commit[:8],
        ralph_last_commit_raw=(last_commit or "none")[:8],
        artifacts=record.hub,
        artifacts_raw=record.hub,
        next_action=entry.next_action or "do input.md's Do Now",
    )
    before = texts[""]
    gap = "" if before.endswith("\n\n") or not before else "\n" if before.endswith("\n") else "\n\n"
    documents = {
        MEMORY: before + gap + render_entry(owned).rstrip("\n") + "\n",
        LEDGER: _ledger(texts[LEDGER], record, Status.IN_PROGRESS, ""),
    }
    if not (handoff.branch and handoff.artifacts):
        documents[HANDOFF] = with_owned_fields(texts[HANDOFF], branch=branch, artifacts=record.hub)
    return documents


def _measured(record: TurnRecord) -> str:
    verdict = record.verdict.value.replace("-", " ")
    facts = "; ".join(record.reasons)
    return f"{verdict}: {facts}" if facts else verdict


def _next(record: TurnRecord) -> str:
    return "the next phase" if record.progress else "a correction of this phase"


def engineer_documents(
    texts: Mapping[str, str],
    agenda: Agenda,
    record: TurnRecord,
    *,
    stamp: str,
    status: Status,
    note: str,
    verified: tuple[str, ...],
    files: tuple[str, ...],
) -> dict[str, str]:
    """Documents after an engineer's turn, by path; `texts` holds the turn's versions by path."""
    item = agenda.ledger.item(record.focus)
    plan, summary = plan_path(item), f"plans/active/{record.focus}/summary.md"
    attempt = Attempt(
        stamp=stamp,
        what=f"{record.turn}, phase {record.phase}" if record.phase else record.turn,
        text=f"{record.verdict.value}.",
        metrics=("; ".join(record.reasons) or record.tests or "none").rstrip(".") + ".",
        artifacts=f"`{record.hub}`.",
        next_actions=("none, the item is closed" if status is Status.DONE else note or _next(record)) + ".",
    )
    documents = {LEDGER: with_attempt(_ledger(texts[LEDGER], record, status, note), record.focus, attempt)}
    if texts.get(plan):
        documents[plan] = with_ticks(texts[plan], ticks(parse_plan(texts[plan], plan), verified))
    shown = ", ".join(files[:6]) + (", …" if len(files) > 6 else "")
    added, _ = new_sentences(texts.get("", ""), texts.get(summary, ""), summary)
    sentences = added.sentences if added else ("The engineer left no summary.",)
    turn = TurnSummary(
        stamp=stamp,
        sentences=sentences,
        measured=_measured(record),
        artifacts=f"{record.hub} ({shown})",
        line=0,
    )
    documents[summary] = with_turn(texts.get("", ""), turn)
    return documents


def standing_items(before: str, after: str) -> str:
    """Return the ledger with every standing item as it was, and the items a supervisor added at its end."""
    known = {item.id for item in parse_ledger(before, LEDGER).items}
    text = before
    for item in parse_ledger(after, LEDGER).items:
        if item.id not in known:
            text = text.rstrip("\n") + "\n\n" + item.raw.strip("\n") + "\n"
            text = with_status(text, item.id, Status.PENDING, "")
    return text
