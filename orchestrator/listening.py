"""Between two turns the loop listens: requests of people are entered and carried out, a pause is waited for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from orchestrator.approval import bring_in
from orchestrator.config import child_environment
from orchestrator.errors import ExitCode
from orchestrator.inbox import USER_INPUT, read_requests, take_user_input, tell_request
from orchestrator.policy.ending import Ending
from orchestrator.process import Limits, run_child
from orchestrator.records.items import Status
from orchestrator.session import Session

__all__ = ["announce", "idle", "listen", "pauses_within"]

_LOOK_EVERY_S = 0.5  # while paused; otherwise the loop looks between two turns
_LONGEST_PAUSE_S = 60.0  # between two looks at what items wait for
_NOTIFY_S = 30.0
_TOLD = frozenset({Status.BLOCKED.value, Status.BLOCKED_ESCALATION.value, Status.WAITING.value, Status.DONE.value})


def _take(session: Session) -> None:
    """Enter what people left since the last look."""
    workspace = session.workspace
    if (workspace.root / USER_INPUT).exists():
        if workspace.git.run("ls-files", "-z", "--", USER_INPUT):
            if session.announced.setdefault(USER_INPUT, "") != "tracked":
                session.live.fact(f"{USER_INPUT} is tracked by git and stays where it is: untrack it to have it read")
            session.announced[USER_INPUT] = "tracked"
        else:
            take_user_input(workspace.root, workspace.home)
    for kind, data in read_requests(workspace.home, session.state.taken):
        session.journal.append(kind, data)
        words = tell_request(data) if kind == "override" else ""
        session.live.fact(
            f"a person asked: {words}" if words else f"{USER_INPUT} is taken for the next supervisor turn"
        )


def listen(session: Session) -> bool:
    """Carry out what people asked for; whether the loop is to end."""
    told = False
    while True:
        _take(session)
        for item_id, commit in session.state.approvals:
            session.live.fact(bring_in(session, item_id, commit))
        state = session.state
        if state.stop_asked or session.interrupted():
            return True
        if not state.paused:
            return False
        if not told:
            session.live.line(f"paused ({state.paused}); `python -m orchestrator pause --off` lets it go on", "bold")
            told = True
        time.sleep(_LOOK_EVERY_S)


def pauses_within(seconds: float | None) -> Iterator[float]:
    """Give ever longer pauses, in seconds, until they fill the time that the loop may wait."""
    end, pause = time.monotonic() + (seconds or 0.0), 1.0
    while (left := end - time.monotonic()) > 0:
        yield min(pause, left)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def idle(session: Session, seconds: float) -> bool:
    """Sleep through a pause, but hear at once what people ask for; False where there is no pause to sleep through."""
    if seconds <= 0:
        return False
    session.live.work(f"nothing runnable; looking again in {seconds:.0f} s", None)
    end, known = time.monotonic() + seconds, len(session.journal.events)
    while (left := end - time.monotonic()) > 0 and not listen(session) and len(session.journal.events) == known:
        time.sleep(min(left, _LOOK_EVERY_S))
    return True


def _notify(session: Session, event: dict[str, Any]) -> None:
    """Run the person's command with the event on its standard input; a command that fails is told, nothing more."""
    config, home = session.config, session.workspace.home
    log = home / "notify.log"
    result = run_child(
        config.notify,
        cwd=session.workspace.root,
        env=child_environment(config, session.workspace.root, network=True),
        log=log,
        limits=Limits(wall_s=_NOTIFY_S),
        stdin=json.dumps({**event, "run": session.run.name, "workspace": str(session.workspace.root)}).encode(),
        should_stop=None if "code" in event else session.interrupted,  # that the loop ends is told in any case
    )
    if not result.ok:
        session.live.fact(f"notify: {config.notify[0]} ended with {result.ending.value}, code {result.code}; see {log}")


def announce(session: Session, ending: Ending | None = None) -> None:
    """Tell the command under `notify:` which items became blocked, waiting or done, and how the run ended."""
    if not session.config.notify:
        return
    for item_id, known in session.state.items.items():
        if known.status in _TOLD and session.announced.get(item_id) != known.status:
            _notify(session, {"event": known.status, "item": item_id, "note": known.note})
        session.announced[item_id] = known.status or ""
    if ending is not None:
        event = "budget" if ending.code is ExitCode.LIMIT else "ended"
        _notify(session, {"event": event, "code": int(ending.code), "note": ending.reason})
