"""What rows and items wait for from outside: provided, or seen to hold, before anything runs."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.agenda import Agenda, read_agenda
from orchestrator.config import child_environment
from orchestrator.evidence.commands import resolve_command, words_of
from orchestrator.layout import LEDGER
from orchestrator.policy.dwell import waking
from orchestrator.process import ChildResult, Limits, last_line, run_child
from orchestrator.records.conditions import Condition, ConditionKind, due_time, machine_can_tell
from orchestrator.records.ledger import Item, Status, parse_ledger
from orchestrator.session import Session

__all__ = ["provide_needs"]

_CONDITION_S = 60.0  # a command of a return condition is run in every iteration: it looks, and does no work


def _run(command: tuple[str, ...] | list[str], name: str, log: str, root: Path, session: Session) -> ChildResult:
    """Run a person's command from outside, with network; what it prints goes to a log of its own.

    One that provides something may run code of the worktree, so it is put behind walls; one that looks is a person's.
    """
    argv, extra = resolve_command(command, {"name": name})
    path = session.workspace.home / "needs" / log
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    session.live.work(f"providing {name}" if name else f"looking: {' '.join(command)}", path)
    seconds = session.config.verify_minutes * 60 if name else _CONDITION_S
    env = {**child_environment(session.config, root, network=True), **extra}
    if name:
        folder = session.config.needs_folder
        for kept in folder:
            kept.mkdir(parents=True, exist_ok=True)
        argv = session.sandbox.opened(read=[root], write=folder, network=True).wrap(argv, root, env)
    return run_child(
        argv,
        cwd=root,
        env=env,
        log=path,
        limits=Limits(wall_s=seconds),
        should_stop=session.interrupted,
    )


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
    result = _run(command, name, f"{kind}-{name.replace('/', '_')}.log", session.worktree.root, session)
    if result.ok:
        session.provided.add(need)
        return ""
    return f"{need} is missing ({last_line(result.log) or result.ending.value})"


def _obstacle(item: Item, agenda: Agenda, session: Session) -> str:
    return next((reason for need in _needs(item, agenda, session) if (reason := _provide(need, session))), "")


def _set(session: Session, item: Item, status: Status, note: str) -> None:
    if (item.status, item.status_note) != (status, note):
        session.journal.append("item.status", {"item": item.id, "status": status.value, "note": note})
        session.live.fact(f"{item.id} is {status.value}" + (f": {note}" if note else ""))


def _holds(condition: Condition, item: Item, agenda: Agenda, session: Session) -> bool:
    """Whether a return condition holds now; files and commands are those of the checkout the loop was started in."""
    root, subject = session.workspace.root, condition.subject
    match condition.kind:
        case ConditionKind.ITEM:
            return agenda.ledger.item(subject).status is Status.DONE
        case ConditionKind.FINDING:
            return any(finding.id == subject and finding.resolved for finding in agenda.findings)
        case ConditionKind.TIME:
            due = due_time(condition)
            return due is not None and datetime.now(UTC) >= due
        case ConditionKind.FILE:
            with contextlib.suppress(OSError):  # what cannot be looked at is not there
                return (root / subject).exists()
        case ConditionKind.COMMAND:
            return _run(words_of(subject), "", f"{item.id}.log", root, session).ok
    return False


def _may_go_on(item: Item, agenda: Agenda, session: Session) -> bool:
    """Whether a waiting item has what it waits for: its needs, and what its return condition asks for.

    One for which a machine can tell neither waits for a person.
    """
    told = machine_can_tell(item.conditions)
    if not (told or _needs(item, agenda, session)) or (told and not _met(item, agenda, session)):
        return False
    return not _obstacle(item, agenda, session)


def _met(item: Item, agenda: Agenda, session: Session) -> bool:
    return all(_holds(condition, item, agenda, session) for condition in item.conditions)


def _wake(session: Session) -> None:
    """Let items go on whose wake or return condition holds.

    Only what stands in the ledger of people's own branch is asked: what an agent entered waits for a person.
    """
    agenda = read_agenda(session.read, session.state, session.config)
    standing = {item.id for item in parse_ledger(session.worktree.text(session.start, LEDGER)).items}
    for item in agenda.ledger.items:
        known = session.state.item(item.id)
        lacks_need = known.status == Status.WAITING  # all else it waits for was seen to hold
        if item.id not in standing and not lacks_need:
            continue
        if item.status is Status.WAITING:
            holds = not _obstacle(item, agenda, session) if lacks_need else _may_go_on(item, agenda, session)
        elif item.status is Status.BLOCKED and machine_can_tell(item.conditions):
            holds = _met(item, agenda, session)
        else:
            continue
        event = waking(item, known, holds=holds)
        if event and not session.interrupted():
            session.journal.append(*event)
            session.live.fact(f"{item.id} goes on" if holds else f"{item.id}: its return condition is met no longer")


def provide_needs(session: Session) -> Agenda:
    """Return an agenda whose candidates have all they need; items that lack something wait until it is there."""
    _wake(session)
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
