"""What an agent left in the documents: read out of them, and kept within what is its own; pure."""

from __future__ import annotations

from orchestrator.evidence.criteria import rows_digest
from orchestrator.layout import LEDGER, MEMORY
from orchestrator.policy.rules import breach
from orchestrator.records.findings import parse_findings
from orchestrator.records.ledger import Status, parse_ledger, with_status
from orchestrator.records.memory import MemoryEntry, parse_memory
from orchestrator.records.plan import parse_plan
from orchestrator.records.summary import TurnSummary, parse_summary

__all__ = ["changed_rows", "find_new_entry", "lost_findings", "new_sentences", "standing_items"]

_PROPOSED = breach("DWELL-PROPOSAL", "proposed by the supervisor").text


def find_new_entry(before: str, after: str) -> tuple[MemoryEntry | None, str]:
    """Return the one entry that `after` appends to `before`, or why there is none to use."""
    if not after.startswith(before):
        return None, "an entry that stood was changed"
    added = after.removeprefix(before)
    if before and not before.endswith("\n"):
        added = added.partition("\n")[2]  # the rest of a line that stood before
    found = parse_memory(added, MEMORY).entries
    if len(found) != 1:
        return None, f"expected one new entry at the end, found {len(found)}"
    return found[0], ""


def changed_rows(before: str, after: str, path: str) -> bool:
    """Whether anything that decides a criterion differs between two versions of a plan."""
    return rows_digest(parse_plan(before, path)) != rows_digest(parse_plan(after, path))


def new_sentences(before: str, after: str, path: str) -> tuple[TurnSummary | None, tuple[tuple[int, str], ...]]:
    """Return the summary an engineer added on top, with its sentences and their line numbers."""
    if before == after:
        return None, ()
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


def lost_findings(before: str, after: str) -> tuple[str, ...]:
    """Return the ids of findings that stood and are gone: items wait for them, and plans and handoffs cite them."""
    kept = {finding.id for finding in parse_findings(after).findings}
    return tuple(finding.id for finding in parse_findings(before).findings if finding.id not in kept)


def standing_items(before: str, after: str) -> str:
    """Return the ledger with every standing item as it was, and the items a supervisor added at its end.

    Those are proposals: a run works on what people asked for, so each waits until a person takes it up.
    """
    known = {item.id for item in parse_ledger(before, LEDGER).items}
    text = before
    for item in parse_ledger(after, LEDGER).items:
        if item.id not in known:
            text = text.rstrip("\n") + "\n\n" + item.raw.strip("\n") + "\n"
            text = with_status(text, item.id, Status.WAITING, _PROPOSED)
    return text
