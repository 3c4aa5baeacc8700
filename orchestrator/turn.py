"""A turn as a tuple of named steps, the same for every role; what fails leaves a patch and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.config import known_secrets
from orchestrator.errors import GitError, OrchestratorError, RecordError
from orchestrator.facts import TurnRecord
from orchestrator.policy.dwell import fate_of
from orchestrator.secrets import redact
from orchestrator.session import Session
from orchestrator.steps.base import Turn, TurnFailed
from orchestrator.steps.begin import act, brief, open_turn
from orchestrator.steps.gather import check, collect
from orchestrator.steps.keep import commit, render
from orchestrator.steps.prove import judge, verify

__all__ = ["STEPS", "Abandoned", "run_turn", "settle"]

Step = Callable[[Turn], Turn]

STEPS: tuple[tuple[str, Step], ...] = (
    ("open", open_turn),
    ("brief", brief),
    ("act", act),
    ("collect", collect),
    ("check", check),
    ("verify", verify),
    ("judge", judge),
    ("render", render),
    ("commit", commit),
)


@dataclass(frozen=True)
class Abandoned:
    """A turn that left nothing on the branch, and why."""

    reasons: tuple[str, ...]
    interrupted: bool


def run_turn(turn: Turn) -> TurnRecord | Abandoned:
    """Take a turn through every step; its record, or what it was abandoned for."""
    for name, step in STEPS:
        turn.session.live.step(name)
        try:
            turn = _take(step, turn)
        except TurnFailed as failure:
            return _abandon(turn, failure)
        except (OrchestratorError, OSError) as error:
            with contextlib.suppress(
                OrchestratorError, OSError
            ):  # what cannot be undone now is undone at the next start
                settle(turn.session, str(error))
            raise
    if turn.record is None:
        raise AssertionError("a turn that ran through every step has a record")
    return turn.record


def _take(step: Step, turn: Turn) -> Turn:
    """Take one step; what fails on a full disk is charged to nobody."""
    try:
        return step(turn)
    except RecordError as error:  # a document the agent left cannot be written back as it should be
        raise TurnFailed(str(error)) from error
    finally:
        turn.session.workspace.check_room()


def _charge(turn: Turn, failure: TurnFailed) -> dict[str, Any] | None:
    """Return what an abandoned turn costs its focus: an engineer's counts as an iteration without progress."""
    if failure.interrupted or not turn.role.is_measured or turn.focus is None:
        return None
    fate = fate_of(turn.focus, turn.state.item(turn.focus.id), None, progress=False, reasons=failure.reasons)
    return {"item": turn.focus.id, "dwell": fate.dwell, "status": fate.status.value, "note": fate.note}


def _abandon(turn: Turn, failure: TurnFailed) -> Abandoned:
    """Keep the turn's diff as a patch, take the worktree back to its base, and say so in the journal."""
    _put_back(turn.session, turn.id, turn.base)
    turn.session.journal.append(
        "turn.abandoned",
        {
            "turn": turn.id,
            "role": turn.role.role.value,
            "reasons": list(failure.reasons),
            "charge": _charge(turn, failure),
            "interrupted": failure.interrupted,
            "agent": failure.agent or turn.agent,
            "seconds": turn.seconds,
        },
    )
    return Abandoned(failure.reasons, failure.interrupted)


def _put_back(session: Session, turn_id: str, base: str) -> None:
    """Take the worktree back to `base`; what differs is kept as a patch in the turn's folder."""
    worktree = session.worktree
    worktree.take_over(base, turn_id)
    patch = b""
    with contextlib.suppress(GitError):  # what cannot be written as a tree cannot be kept as a patch either
        patch = worktree.git.patch(base, worktree.write_tree())
    if patch:
        _keep_patch(session.workspace.home / "turns" / turn_id, patch)
    worktree.restore(base)


def _keep_patch(folder: Path, patch: bytes) -> None:
    """Write a patch as a whole or not at all; one that a dead run kept there before it could restore stays."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "abandoned.patch"
    if target.exists():
        target = target.with_stem(f"abandoned-{hashlib.sha256(patch).hexdigest()[:8]}")
    part = target.with_suffix(".part")
    part.write_bytes(redact(patch, known_secrets()))
    part.replace(target)


def settle(session: Session, why: str) -> str:
    """Finish or undo the turn that was left open, and make the worktree hold its branch; what was done, if anything.

    Parameters
    ----------
    session
        The run.
    why
        What cut the turn short, for the journal.
    """
    left, head = session.state.open_turn, session.worktree.head()
    if left is None:
        _put_back(session, f"{session.run.name}/between-turns", head)
        return ""
    if left.verified and session.worktree.git.trailers(head).get("Turn-Id") == left.turn:
        session.worktree.restore(head)
        committed = {**left.verified, "record": {**left.verified["record"], "commit": head}}
        session.journal.append("turn.committed", committed)
        return f"{left.turn} had been committed as {head[:8]}; the journal now says so too"
    _put_back(session, left.turn, left.base)
    session.journal.append(
        "turn.abandoned", {"turn": left.turn, "role": "", "reasons": [why], "charge": None, "interrupted": True}
    )
    return f"{left.turn} was cut short and is undone; its diff, if any, is in .orchestrator/turns/{left.turn}/"
