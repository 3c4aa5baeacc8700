"""One iteration: a supervisor's turn, sent back once if its handoff is refused, then an engineer's turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from orchestrator.agenda import Agenda, read_agenda
from orchestrator.briefing import next_stamp
from orchestrator.facts import TurnRecord, Verdict
from orchestrator.layout import HANDOFF, PLANS, latest_stamp, stamp_of_hub
from orchestrator.listening import listen
from orchestrator.policy.progress import is_gain
from orchestrator.records.handoff import parse_handoff
from orchestrator.review import is_review_due
from orchestrator.roles import ENGINEER, REVIEW, REVIEWER, SUPERVISOR, RoleSpec
from orchestrator.session import Session
from orchestrator.steps.base import Turn
from orchestrator.turn import Abandoned, run_turn

__all__ = ["iterate"]

_ATTEMPTS_AT_A_HANDOFF = 2


def _last_stamp(session: Session) -> datetime | None:
    """Stamp of the last hub: of the run, or before its first turn of whatever its base brought along."""
    turns = session.state.turns
    if turns:
        return stamp_of_hub(turns[-1].hub)  # each is later than the one before
    return latest_stamp(session.worktree.git.ls_tree(session.worktree.head(), PLANS))


def _tell(session: Session, result: TurnRecord | Abandoned) -> None:
    if isinstance(result, Abandoned):
        for reason in result.reasons:
            session.live.fact(reason, good=False)
        return
    good = {Verdict.PROGRESS: True, Verdict.REFUSED: False}.get(result.verdict)
    for reason in result.reasons:
        if is_gain(reason):
            session.live.fact(reason, good=True)
        else:
            session.live.fact(reason, good=False if reason.startswith("claimed ") else None if good else good)
    if result.verdict is Verdict.HANDOFF:
        session.live.fact(f"handoff: {result.focus}, phase {result.phase or 'to be planned'}")
    elif not result.has_focus:
        session.live.fact(f"{result.verdict.value}, commit {result.commit[:8]}")
    else:
        session.live.fact(f"{result.verdict.value}, dwell {result.dwell}, commit {result.commit[:8]}", good=good)


def _play(session: Session, role: RoleSpec, turn: Turn, title: str) -> TurnRecord | Abandoned:
    session.live.turn(role.role.value, title)
    result = run_turn(turn)
    _tell(session, result)
    return result


def _supervise(session: Session, agenda: Agenda, iteration: int) -> TurnRecord | Abandoned:
    stamp = next_stamp(_last_stamp(session))
    refusals: tuple[str, ...] = ()
    for _ in range(_ATTEMPTS_AT_A_HANDOFF):
        state = replace(session.state, iteration=iteration)
        turn = Turn(session, SUPERVISOR, state, agenda, stamp, session.worktree.head(), refusals)
        result = _play(session, SUPERVISOR, turn, f"iteration {iteration}: review and handoff")
        if isinstance(result, TurnRecord) or result.interrupted:
            return result
        refusals = result.reasons
    return result


def _review(session: Session, agenda: Agenda) -> None:
    """Have a reviewer look at the run; what becomes of its turn stops nobody."""
    stamp = next_stamp(_last_stamp(session))
    turn = Turn(session, REVIEWER, session.state, agenda, stamp, session.worktree.head(), stands_for=REVIEW)
    _play(session, REVIEWER, turn, f"review after iteration {session.state.iteration}")


def iterate(session: Session, agenda: Agenda) -> None:
    """Run one iteration; one that was cut short after its handoff goes on with the engineer.

    A person who ends the run, or takes back the handoff's focus, is heard before the engineer starts.
    """
    state = session.state
    handoff_record = state.open_handoff
    iteration = state.iteration if handoff_record else state.iteration + 1
    if handoff_record is None:
        if is_review_due(session.config.review_every, state):
            _review(session, agenda)
            if listen(session):
                return
        result = _supervise(session, agenda, iteration)
        if not isinstance(result, TurnRecord) or listen(session):
            return
        handoff_record = session.state.open_handoff
    if handoff_record is None:
        return
    state = replace(session.state, iteration=iteration)
    agenda = read_agenda(session.read, state, session.config)
    handoff = parse_handoff(session.read(HANDOFF), HANDOFF)
    focus = agenda.ledger.item(handoff_record.focus)
    turn = Turn(
        session,
        ENGINEER,
        state,
        agenda,
        stamp_of_hub(handoff_record.hub),
        session.worktree.head(),
        focus=focus,
        handoff=handoff,
    )
    title = f"{focus.id}" + (f", phase {handoff_record.phase}" if handoff_record.phase else "")
    _play(session, ENGINEER, turn, f"iteration {iteration}: {title}")
