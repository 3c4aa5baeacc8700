"""Steps render and commit: documents, hub, one commit, and the journal's last word on the turn."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from orchestrator import __version__
from orchestrator.archive import with_archives
from orchestrator.config import known_secrets
from orchestrator.documents import ledger_after, memory_after, plan_after, summary_after, with_attempt_of
from orchestrator.evidence.hubs import publish
from orchestrator.facts import TurnRecord
from orchestrator.layout import HANDOFF, LEDGER, MEASURED, MEMORY, plan_path, summary_path
from orchestrator.policy.dwell import limits_of
from orchestrator.records.handoff import with_owned_fields
from orchestrator.records.ledger import Status
from orchestrator.roles import Leaving
from orchestrator.secrets import redact_text
from orchestrator.steps.base import Turn
from orchestrator.steps.prove import verified_after

__all__ = ["commit", "render"]


def _hub(turn: Turn, record: TurnRecord) -> dict[str, bytes | None]:
    """Files of the hub by repository path; None for what the agent left in `agent/` and the hub has no room for."""
    git = turn.session.worktree.git
    left = git.ls_tree(turn.tree, f"{turn.hub}agent")
    for path in left:
        staged = turn.stage / path.removeprefix(turn.hub)
        staged.parent.mkdir(parents=True, exist_ok=True)
        staged.write_bytes(git.blob(turn.tree, path) or b"")
    files = publish(turn.stage, turn.session.workspace.store, turn.facts.rows, turn=record.turn, tree=record.tree)
    return {**dict.fromkeys(left), **{turn.hub + name: content for name, content in files.items()}}


def _measured(turn: Turn, record: TurnRecord) -> str:
    """Return what the harness measured, as the hub keeps it; the changed paths are in the commit itself."""
    facts = asdict(replace(turn.facts, changes=()))
    return (
        json.dumps({**facts, "failing": record.failing, "failures": record.failures}, indent=1, sort_keys=True) + "\n"
    )


def _blocker(turn: Turn, record: TurnRecord) -> str:
    """Report on an item that stands still: its turns, and what each was worth."""
    lines = [f"# {record.focus} is {turn.status}", "", turn.note, ""]
    lines += ["| turn | verdict | why |", "|---|---|---|"]
    for past in (*turn.state.item(record.focus).turns, record):
        why = "; ".join(past.reasons).replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {past.turn} | {past.verdict.value} | {why} |")
    limits = ", ".join(map(str, limits_of(turn.item)))
    lines += ["", f"Dwell {record.dwell}; limits of this item: {limits}.", ""]
    return "\n".join(lines)


def _documents(turn: Turn, record: TurnRecord, files: tuple[str, ...]) -> dict[str, str]:
    if turn.role.leaves is Leaving.REVIEW:
        return {}
    known, items = turn.state.item(record.focus), turn.state.items
    if record.has_focus:
        items = {**items, record.focus: replace(known, status=turn.status, note=turn.note)}
    ledger = ledger_after(turn.text(LEDGER), record, items)
    if turn.role.is_measured:
        summary, plan = summary_path(record.focus), plan_path(turn.item)
        return {
            LEDGER: with_attempt_of(ledger, record, turn.stamp_text, turn.note),
            summary: summary_after(turn.base_text(summary), turn.text(summary), record, turn.stamp_text, files),
            **plan_after(plan, turn.text(plan), verified_after(turn)),
        }
    if turn.entry is None or turn.handoff is None:
        raise AssertionError("a supervisor's turn was checked before it is recorded")
    note = "new focus; no completed iteration yet" if not known.iterations else "iterations since the last progress"
    memory = memory_after(
        turn.base_text(MEMORY),
        turn.entry,
        record,
        stamp=turn.stamp_text,
        dwell_note=note,
        last_commit=known.last_engineer_commit,
        git_sync=" at ".join(filter(None, (turn.session.config.sync or "off", turn.state.synced[:8]))),
    )
    documents = {LEDGER: ledger, MEMORY: memory}
    if not (turn.handoff.branch and turn.handoff.artifacts):
        branch = turn.session.run.branch
        documents[HANDOFF] = with_owned_fields(turn.text(HANDOFF), branch=branch, artifacts=record.hub)
    return documents


def render(turn: Turn) -> Turn:
    """Render the harness's fields and the hub onto tree T."""
    record = turn.judged
    if turn.status in {Status.BLOCKED.value, Status.BLOCKED_ESCALATION.value}:
        (turn.stage / "blocker.md").write_text(_blocker(turn, record), encoding="utf-8")
    if turn.role.is_measured:
        (turn.stage / MEASURED).write_text(_measured(turn, record), encoding="utf-8")
    has_evidence = not turn.role.writes_handoff or any(turn.stage.iterdir())
    hub = _hub(turn, record) if has_evidence else {}
    names = tuple(path.removeprefix(turn.hub) for path in hub)
    git = turn.session.worktree.git
    documents = with_archives(_documents(turn, record, names), lambda path: git.blob(turn.tree, path) or b"")
    return replace(turn, tree=git.tree_with(turn.tree, {**hub, **documents}))


def _commit_message(turn: Turn, record: TurnRecord) -> str:
    """Message of a turn's commit: a sentence, the reasons, and the trailers another machine rebuilds from."""
    phase = f" phase {record.phase}" if record.phase else ""
    body = "\n".join(f"- {' '.join(reason.split())}" for reason in record.reasons)
    prompt = turn.session.prompts.sha256(turn.role.prompt)
    trailers = {
        "Turn-Id": record.turn,
        "Role": record.role.value,
        "Iteration": str(record.iteration),
        "Focus": record.focus,
        "Dwell": str(record.dwell),
        "Verdict": record.verdict.value,
        "Status": turn.status or "none",
        "Criteria": ", ".join(record.verified) or "none",
        "Tests": record.tests or "none",
        "Verified-Tree": record.tree,
        "Hub": record.hub,
        "Prompt-Sha": prompt[:16],
        "Harness-Version": __version__,
    }
    trailers |= {key: " ".join(text.split()) for key, text in (("Phase", record.phase), ("Note", turn.note)) if text}
    if turn.role.writes_handoff and turn.state.inputs:
        trailers["User-Input"] = ", ".join(given.id for given in turn.state.inputs)
    if turn.frozen:
        trailers["Frozen"] = turn.frozen.text
    lines = [f"{record.role.value}: {record.focus}{phase}, {record.verdict.value}", ""]
    lines += [body, ""] if body else []
    text = "\n".join([*lines, *(f"{key}: {value}" for key, value in trailers.items()), ""])
    return redact_text(text, known_secrets())


def commit(turn: Turn) -> Turn:
    """One commit for the turn; the journal's line comes after the branch has moved."""
    record = turn.judged
    sha = turn.session.worktree.commit(turn.tree, _commit_message(turn, record), turn.base)
    turn = replace(turn, record=replace(record, commit=sha))
    turn.session.journal.append("turn.committed", turn.payload())
    return turn
