"""The loop: choose what can be worked on, run an iteration, until nothing runnable is left.

``python -m orchestrator.loop`` works on a branch of its own, in `.orchestrator/`, and never touches your files.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from orchestrator.arguments import read_loop_arguments
from orchestrator.errors import ExitCode
from orchestrator.iteration import iterate
from orchestrator.listening import announce, idle, listen, pauses_within
from orchestrator.needs import provide_needs
from orchestrator.opening import open_session, signals_as_request
from orchestrator.policy.ending import Ending, limit_reached, nothing_runnable
from orchestrator.report.bug import guarded
from orchestrator.report.ending import tell_ending
from orchestrator.report.live import Live
from orchestrator.report.plan import tell_plan
from orchestrator.session import Session
from orchestrator.syncing import keep_in_step

__all__ = ["main", "run"]


def run(session: Session) -> Ending:
    """Run iterations until the work, a limit or a person ends it."""
    config, started, first = session.config, time.monotonic(), session.state.iteration
    pauses = pauses_within(config.wait)
    while not listen(session):
        announce(session)
        state = session.state
        limit = limit_reached(
            state,
            iterations=state.iteration - first,
            minutes=(time.monotonic() - started) / 60,
            max_iterations=config.iterations,
            max_minutes=config.max_minutes,
        )
        if limit:
            return limit
        conflict = keep_in_step(session)
        if conflict:
            return conflict
        agenda = provide_needs(session)
        if listen(session):
            break
        if agenda.candidates:
            iterate(session, agenda)
            pauses = pauses_within(config.wait)
        elif not (any(standing.waits for standing in agenda.standings) and idle(session, next(pauses, 0.0))):
            return nothing_runnable(agenda.standings, session.state)
    return Ending(ExitCode.INTERRUPTED, "stopped by a person; the next start goes on from here")


def _call(argv: Sequence[str] | None) -> int:
    call = read_loop_arguments(argv)
    if call.shows_only:
        return tell_plan(call)
    with (
        signals_as_request() as interrupted,
        open_session(call.config, call.workspace, Live(), interrupted, fresh=call.fresh, resume=call.resume) as session,
    ):
        turns_before = len(session.state.turns)
        ending = run(session)
        announce(session, ending)
        session.journal.append("run.ended", {"code": int(ending.code), "reason": ending.reason})
        tell_ending(session, ending, turns_before, as_json=call.as_json)
    return int(ending.code)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line of the loop; returns one of `ExitCode`."""
    return guarded(lambda: _call(argv))


if __name__ == "__main__":
    raise SystemExit(main())
