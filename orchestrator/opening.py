"""Opening a run: lock, journal, worktrees, and whatever a dead run left behind; closing it again."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType

from orchestrator.agenda import commit_reader, read_agenda
from orchestrator.agents.catalog import check_agent
from orchestrator.config import Config, child_environment
from orchestrator.errors import ConfigError, EvidenceError, LockError, OrchestratorError, is_shortage
from orchestrator.evidence.checkout import Checkout
from orchestrator.evidence.setup import set_up
from orchestrator.inbox import waiting_requests
from orchestrator.journal import Journal
from orchestrator.layout import LEDGER
from orchestrator.lineage import is_living, own_identity, sweep_orphans
from orchestrator.lock import hold_lock
from orchestrator.prompts import Prompts, prompt_folders
from orchestrator.rebuild import find_runs, rebuild_run
from orchestrator.records.text import counted
from orchestrator.report.live import Live
from orchestrator.sandbox import find_sandbox
from orchestrator.session import Session
from orchestrator.state import RunInfo, State, fold
from orchestrator.turn import settle
from orchestrator.workspace import Workspace, elsewhere, linked_git, open_run_worktree, plan_run, run_folder

__all__ = ["open_session", "signals_as_request"]


@contextmanager
def signals_as_request() -> Iterator[Callable[[], bool]]:
    """Make SIGINT, SIGTERM and SIGHUP a request that the loop answers at a safe point; the value tells of one."""
    asked: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    previous = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _rebuilt(workspace: Workspace, journal: Journal, live: Live, *, resume: bool) -> RunInfo | None:
    """Return the newest run whose branch this clone has, entered in a journal that knows of none."""
    state, data = fold(journal.events), None
    for known in find_runs(workspace.git):
        if known.name in state.runs:
            continue
        data = rebuild_run(workspace.git, known, run_folder(known.name))
        place = elsewhere(workspace.git, f"loop/{known.name}", workspace.root / run_folder(known.name))
        if data and place:
            live.fact(f"{known.name} is in {place}; to go on with it start the loop there")
        elif data:
            break
    else:
        return None
    turns = sum(event["kind"] == "turn.committed" for event in data["events"])
    if not (known.is_local or resume):
        live.fact(f"{known.ref} holds {counted(turns, 'turn')} of a run; --resume goes on from there")
        return None
    if not known.is_local:
        workspace.git.run("branch", "--no-track", data["branch"], known.ref)
    old = [path.stem for path in waiting_requests(workspace.home, state.taken)]
    journal.append("run.rebuilt", {**data, "taken": old})
    if old:
        live.fact(
            f"{counted(len(old), 'request')} in {workspace.home} may have been carried out already; "
            "ask again for what is not"
        )
    live.fact(f"rebuilt {known.name} from {counted(turns, 'commit')} of {known.ref}; unknown are {data['unknown']}")
    return fold(journal.events).run


def _check_start(workspace: Workspace, commit: str, config: Config) -> None:
    """Check that a run can begin at a commit, before anything says that one has.

    Raises
    ------
    ConfigError
        Its ledger is missing or damaged, or does not know the focus asked for.
    """
    read = commit_reader(workspace.git, commit)
    if not read(LEDGER):
        there = (workspace.root / LEDGER).is_file()
        made = f"`git add {LEDGER}`, commit" if there else "`python -m orchestrator init .` makes one; commit it"
        raise ConfigError(
            f"{LEDGER} is not in commit {commit[:8]}, where the run would begin: {made}, then start again"
        )
    read_agenda(read, State(), config)


def _run(
    workspace: Workspace, journal: Journal, live: Live, config: Config, *, fresh: bool, resume: bool
) -> tuple[RunInfo, bool]:
    """Return the run to work on, and whether it was just made; one in which nothing happened yet begins at HEAD."""
    state = fold(journal.events)
    rebuilt = _rebuilt(workspace, journal, live, resume=resume) if not fresh and (resume or not state.runs) else None
    if rebuilt:
        return rebuilt, False
    untouched = not (state.turns or state.items or state.approvals or state.open_turn)
    if state.run is not None and not fresh and not (untouched and state.run.base != workspace.git.head()):
        return state.run, False
    run = plan_run(workspace, state.runs)
    _check_start(workspace, run.base, config)
    journal.append("run.started", {"run": run.name, "branch": run.branch, "base": run.base, "worktree": run.worktree})
    return run, True


def _tell_start(session: Session, *, new: bool) -> None:
    workspace, run, live = session.workspace, session.run, session.live
    how = "starts from" if new else "goes on; it started from"
    live.line(f"{run.name} {how} {run.base[:8]}, on branch {run.branch}, in {workspace.root / run.worktree}", "bold")
    if not session.sandbox.program:
        live.fact(f"sandbox: {session.sandbox.note}; agents and rows reach all that you can reach")
    uncommitted = workspace.uncommitted()
    if uncommitted:
        live.fact(f"left alone and no part of the run: {counted(uncommitted, 'uncommitted path')} of yours")
    behind = int(workspace.git.text("rev-list", "--count", f"{run.base}..HEAD"))
    if not new and behind:
        live.fact(
            f"your checkout has {counted(behind, 'commit')} that this run does not have; --fresh starts anew from there"
        )


def _check_setup(session: Session) -> None:
    """Set up the tree the run started from, so that what fails later is charged to what changed it.

    Raises
    ------
    EvidenceError
        That fails already.
    """
    config, root, log = session.config, session.checkout.root, session.workspace.home / "setup.log"
    if not config.verify_setup:
        return
    session.checkout.show(session.run.base)
    session.live.step("setting up what things are measured in", log)
    why = set_up(
        config.verify_setup,
        root,
        child_environment(config, root),
        log,
        sandbox=session.sandbox,
        seconds=config.verify_minutes * 60,
        should_stop=session.interrupted,
    )
    if why and not session.interrupted():
        start = f"{session.run.base[:8]}, where the run started"
        raise EvidenceError(f"{why}; correct `verify_setup:` until it succeeds at {start}; log {log}")


@contextmanager
def _named_disk(workspace: Workspace) -> Iterator[None]:
    """Have an error that a full disk is behind say so, and one that names no file say where the loop writes."""
    try:
        yield
    except (OrchestratorError, OSError) as error:
        workspace.check_room()
        if isinstance(error, OSError) and error.filename is None and is_shortage(error):
            error.filename = f"{workspace.home} or {tempfile.gettempdir()}"
        raise


@contextmanager
def open_session(
    config: Config,
    workspace: Workspace,
    live: Live,
    interrupted: Callable[[], bool],
    *,
    fresh: bool,
    resume: bool = False,
) -> Iterator[Session]:
    """Hold the repository's lock and give the open run; what a dead run left open is settled first.

    Raises
    ------
    LockError
        Another loop works on this repository, or on the one this is a copy of.
    JournalError
        The journal is damaged.
    ConfigError
        An agent's name is unknown, or a sandbox is required and there is none.
    """
    for name in (config.supervisor, config.engineer, config.reviewer):
        check_agent(name, config)
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "start": datetime.now(UTC).isoformat(timespec="seconds"),
        "workspace": str(workspace.root),
    }
    with ExitStack() as stack:
        stack.enter_context(_named_disk(workspace))
        workspace.make_home()
        stack.enter_context(hold_lock(workspace.lock_path, holder=holder))
        sandbox = find_sandbox(config, workspace.git, workspace.home)
        journal = stack.enter_context(Journal.open(workspace.journal_path))
        stack.callback(live.close)
        for pid, identity in fold(journal.events).harness:  # before anything is read that they may still write
            if pid != os.getpid() and is_living(pid, identity):  # it holds another lock than this one
                cure = f"in a copy of a repository whose loop runs, remove {workspace.home}; else end that process"
                raise LockError(f"{workspace.journal_path}: process {pid}, which opened this run, still works; {cure}")
            sweep_orphans(pid, identity)
        run, new = _run(workspace, journal, live, config, fresh=fresh, resume=resume)
        opened = {"run": run.name, "pid": os.getpid(), "identity": own_identity(), "sandbox": sandbox.note}
        journal.append("run.opened", opened)
        verify = workspace.home / "verify"
        worktree = open_run_worktree(workspace, run, begun=bool(fold(journal.events).turns))
        git = stack.enter_context(worktree.git.keeping_reader())
        session = Session(
            config=config,
            workspace=workspace,
            run=run,
            worktree=replace(worktree, git=git),
            checkout=Checkout(
                verify, linked_git(workspace.git, verify, "--detach", "--no-checkout", str(verify), "HEAD")
            ),
            journal=journal,
            live=live,
            prompts=Prompts(prompt_folders(workspace.root)),
            sandbox=sandbox,
            interrupted=interrupted,
        )
        _tell_start(session, new=new)
        settled = settle(session, "the run died")
        if settled:
            live.fact(settled)
        _check_setup(session)
        session.announced.update({name: item.status or "" for name, item in session.state.items.items()})
        yield session
