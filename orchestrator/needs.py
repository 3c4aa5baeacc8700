"""What rows need from outside: provided before anything runs, the one step with network, or waited for."""

from __future__ import annotations

from orchestrator.agenda import Agenda, read_agenda
from orchestrator.config import child_environment
from orchestrator.evidence.commands import resolve_command
from orchestrator.process import Limits, last_line, run_child
from orchestrator.records.ledger import Item, Status
from orchestrator.session import Session

__all__ = ["provide_needs"]


def _needs(item: Item, agenda: Agenda, session: Session) -> tuple[str, ...]:
    """Needs of the open phase that come from outside, as `kind:name`."""
    rows = agenda.open_rows(item, session.state)
    return tuple(dict.fromkeys(need for row in rows for need in row.needs if ":" in need))


def _provide(need: str, session: Session) -> str:
    """Have a need provided; the reason it is missing, empty when it is there."""
    if need in session.provided:
        return ""
    kind, _, name = need.partition(":")
    command = session.config.needs.get(kind)
    if not command:
        return f"nothing provides {kind!r}: name a command under `needs:` in orchestration.yaml"
    argv, extra = resolve_command(command, {"name": name})
    log = session.workspace.home / "needs" / f"{kind}-{name.replace('/', '_')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    session.live.work(f"providing {need}", log)
    result = run_child(
        argv,
        cwd=session.worktree.root,
        env={**child_environment(session.config, session.worktree.root, network=True), **extra},
        log=log,
        limits=Limits(wall_s=session.config.verify_minutes * 60),
        should_stop=session.interrupted,
    )
    if result.ok:
        session.provided.add(need)
        return ""
    return f"{need} is missing ({last_line(log) or result.ending.value})"


def _obstacle(item: Item, agenda: Agenda, session: Session) -> str:
    return next((reason for need in _needs(item, agenda, session) if (reason := _provide(need, session))), "")


def _set(session: Session, item: Item, status: Status, note: str) -> None:
    if (item.status, item.status_note) != (status, note):
        session.journal.append("item.status", {"item": item.id, "status": status.value, "note": note})
        session.live.fact(f"{item.id} is {status.value}" + (f": {note}" if note else ""))


def _may_wake(item: Item, agenda: Agenda, session: Session) -> bool:
    """Whether a waiting item waits for something that can be provided, not for a person."""
    ours = session.state.item(item.id).status == Status.WAITING
    return item.status is Status.WAITING and (ours or bool(_needs(item, agenda, session)))


def provide_needs(session: Session) -> Agenda:
    """Return an agenda whose candidates have all they need; items that lack something wait until it is there."""
    agenda = read_agenda(session.read, session.state, session.config)
    for item in agenda.ledger.items:
        if _may_wake(item, agenda, session) and not _obstacle(item, agenda, session):
            begun = session.state.item(item.id).iterations > 0
            _set(session, item, Status.IN_PROGRESS if begun else Status.PENDING, "")
    while True:
        agenda = read_agenda(session.read, session.state, session.config)
        complete = [i for i in agenda.candidates if i.id in agenda.plans and agenda.phase(i, session.state) is None]
        for item in complete:  # a person blocked and reopened it, or approved a plan without what was open
            _set(session, item, Status.DONE, "every criterion verified")
        if complete:
            continue
        missing = {item: reason for item in agenda.candidates if (reason := _obstacle(item, agenda, session))}
        if not missing or session.interrupted():
            return agenda
        for item, reason in missing.items():
            _set(session, item, Status.WAITING, reason)
