"""Find everything that descends from a child process, and end it."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import ProcessError

__all__ = [
    "Process",
    "Wait",
    "adopt_orphans",
    "end_all",
    "find_family",
    "find_orphans",
    "is_living",
    "make_mark",
    "open_pidfd",
    "own_identity",
    "process_identity",
    "start_time_of",
    "sweep_orphans",
]

_MARK = "ORCHESTRATOR_PARENT"
_PROC = Path("/proc")
_TERM_GRACE_S = 2.0
_KILL_GRACE_S = 5.0
_SHORT_WAIT_S = 0.02  # between two looks where the kernel cannot tell us that a process ended
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Process:
    """A line of the process table; where there is no table, a negative `pid` stands for a group.

    `start` counts clock ticks since the boot; with `pid` it names a process for good.
    """

    pid: int
    parent: int
    session: int
    start: int
    zombie: bool = False


class Wait:
    """Processes' ends and other descriptors' input, waited for together without polling.

    Parameters
    ----------
    pidfds
        Descriptors of processes, owned and closed here; None for a process that has none, which makes
        every wait a short one.
    readers
        What to call when a descriptor can be read; a reader that returns False is not called again.
    """

    def __init__(self, pidfds: Iterable[int | None], readers: Mapping[int, Callable[[], bool]]) -> None:
        wanted = list(pidfds)
        self._pidfds = {pidfd for pidfd in wanted if pidfd is not None}
        self._longest = _SHORT_WAIT_S if None in wanted else float("inf")
        self._readers = dict(readers)
        self._selector = selectors.DefaultSelector()
        for descriptor in (*self._pidfds, *self._readers):
            self._selector.register(descriptor, selectors.EVENT_READ)

    def __enter__(self) -> Wait:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for pidfd in self._pidfds:
            os.close(pidfd)

    def once(self, seconds: float) -> bool:
        """Sleep until something happens, `seconds` at most; True while one of the processes lives."""
        for key, _ in self._selector.select(min(seconds, self._longest)):
            if key.fd in self._pidfds:
                self._selector.unregister(key.fd)
                self._pidfds.discard(key.fd)
                os.close(key.fd)
            elif not self._readers[key.fd]():
                self._selector.unregister(key.fd)
        return bool(self._pidfds)


def adopt_orphans() -> bool:
    """Ask the kernel to hand us the orphans of our descendants (Linux, prctl(2)); True if it will."""
    if sys.platform != "linux":
        return False
    import ctypes  # noqa: PLC0415 -- costs milliseconds, and only those who run children need it

    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def open_pidfd(pid: int) -> int | None:
    """Open a descriptor that becomes readable when the process ends; None where there is no such thing."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return os.pidfd_open(pid)
    return None


def start_time_of(pid: int) -> int | None:
    """Return when a process started, in clock ticks since the boot; None if nobody can tell."""
    process = _read_process(pid)
    return None if process is None else process.start


def process_identity(pid: int) -> str | None:
    """Tell a process from any later one with the same number.

    Parameters
    ----------
    pid
        A process id.

    Returns
    -------
    str or None
        The boot, the start time in clock ticks since then, and the mark of its parent; to be stored and
        compared, not read. None if there is no such process, or no `/proc` to ask.
    """
    process = _read_process(pid)
    return None if process is None else f"{_boot()}:{process.start}:{_mark_of(process.parent)}"


def own_identity() -> str | None:
    """Tell this process, by the mark its children carry, so that a later one can sweep what it left behind."""
    start = start_time_of(os.getpid())
    return None if start is None else f"{_boot()}:{start}:{_mark_of(os.getpid())}"


def make_mark() -> dict[str, str]:
    """Return the variable that names this process in the environment of whatever its children start."""
    return {_MARK: _mark_of(os.getpid())}


def is_living(pid: int, identity: str | None) -> bool:
    """Whether the very process that `own_identity` told apart still runs."""
    process = _read_process(pid)
    return process is not None and not process.zombie and (identity or "").startswith(f"{_boot()}:{process.start}:")


def find_orphans(pid: int, start_time: str | None) -> list[Process]:
    """List what the children of a dead harness left behind.

    Found are the child that was recorded, its session, every process that carries the same mark in its
    environment (it comes from a child of the same harness), and all their descendants. A process that
    merely has the number `pid` now is not among them, nor is the caller or anything it runs under.

    Parameters
    ----------
    pid
        The process id that `run_child` passed to `on_started`.
    start_time
        What `process_identity` answered for it at that time; with None nothing can be known.

    Raises
    ------
    ProcessError
        If `start_time` is not an identity.
    """
    if start_time is None:
        return []
    boot, _, rest = start_time.partition(":")
    start, _, mark = rest.partition(":")
    if not (boot and start.isdigit() and mark):
        raise ProcessError(
            f"process {pid}: expected an identity 'boot:ticks:mark', came {start_time!r}; "
            "store what process_identity returns"
        )
    if boot != _boot():
        return []
    table = _read_processes()
    recycled = pid in table and table[pid].start != int(start)
    roots = [
        process.pid
        for process in table.values()
        if _carried_mark(process.pid) == mark
        or (not recycled and pid in (process.pid, process.session) and process.start >= int(start))
    ]
    spared = _ancestry(os.getpid(), table)
    return [process for process in _descent(roots, table) if process.pid not in spared]


def sweep_orphans(pid: int, start_time: str | None) -> tuple[int, ...]:
    """End what `find_orphans` finds, and return the processes that were ended.

    Raises
    ------
    ProcessError
        If `start_time` is not an identity, or a process outlives being killed.
    """
    found = tuple(process.pid for process in find_orphans(pid, start_time))
    end_all(lambda: find_orphans(pid, start_time))
    return found


def find_family(leader: int, born: int | None) -> list[Process]:
    """List the living among a child of ours, its session, and what it left to us; reap the dead orphans.

    Orphans are told from other children of this process by their session, which is never ours, and by
    having started after the leader. Without a process table the answer is the leader's process group.

    Parameters
    ----------
    leader
        The child's process id; it leads its own session. It is not reaped here.
    born
        Its `start_time_of`.
    """
    if born is None:
        return _group(leader)
    me, own_session = os.getpid(), os.getsid(0)
    table = _read_processes()
    roots = [
        process
        for process in table.values()
        if process.session == leader
        or (process.parent == me and process.session != own_session and process.start >= born)
    ]
    for process in roots:
        if process.zombie and process.parent == me and process.pid != leader:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)
    return _descent([process.pid for process in roots], table)


def end_all(find: Callable[[], list[Process]], readers: Mapping[int, Callable[[], bool]] | None = None) -> None:
    """End what `find` finds until it finds nothing: TERM, one grace for all of them, then KILL.

    Parameters
    ----------
    find
        Lists the living; asked again after each round, so late children are met too.
    readers
        Output to be read meanwhile, lest somebody blocks on a full pipe instead of ending (see `Wait`).

    Raises
    ------
    ProcessError
        If something is still alive seconds after being killed.
    """
    for number, grace_s in ((signal.SIGTERM, _TERM_GRACE_S), (signal.SIGKILL, _KILL_GRACE_S)):
        deadline = time.monotonic() + grace_s
        told: set[tuple[int, int]] = set()
        while time.monotonic() < deadline:
            alive = find()
            if not alive:
                return
            with Wait([_signal_once(process, number, told) for process in alive], readers or {}) as wait:
                while (left := deadline - time.monotonic()) > 0 and wait.once(left):
                    pass
    raise ProcessError(
        f"processes {[process.pid for process in find()]} are still there {_KILL_GRACE_S:g} s after being "
        "killed; look at them with ps, end them, and start again"
    )


def _signal_once(process: Process, number: signal.Signals, told: set[tuple[int, int]]) -> int | None:
    """Signal a process unless it was told already; returns its descriptor, where there are any."""
    pidfd = open_pidfd(process.pid)
    name = (process.pid, process.start)
    if name in told or (pidfd is not None and start_time_of(process.pid) != process.start):
        return pidfd
    told.add(name)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if pidfd is None:
            os.kill(process.pid, number)
        else:
            signal.pidfd_send_signal(pidfd, number)
    return pidfd


def _group(leader: int) -> list[Process]:
    try:
        os.killpg(leader, 0)
    except (ProcessLookupError, PermissionError):
        return []
    return [Process(-leader, 0, leader, 0)]


def _descent(roots: Iterable[int], table: Mapping[int, Process]) -> list[Process]:
    """List the living among the roots and their descendants."""
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    seen: dict[int, Process] = {}
    pending = list(roots)
    while pending:
        pid = pending.pop()
        if pid not in seen:
            seen[pid] = table[pid]
            pending += children.get(pid, [])
    return [process for process in seen.values() if not process.zombie]


def _ancestry(pid: int, table: Mapping[int, Process]) -> set[int]:
    """Name a process and all those it runs under."""
    line = {pid}
    while (process := table.get(pid)) is not None and process.parent not in line:
        pid = process.parent
        line.add(pid)
    return line


def _read_processes() -> dict[int, Process]:
    """Read the process table; empty where there is no `/proc`."""
    if not _PROC.is_dir():
        return {}
    found = (_read_process(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdigit())
    return {process.pid: process for process in found if process is not None}


def _read_process(pid: int) -> Process | None:
    try:
        stat = Path(f"{_PROC}/{pid}/stat").read_bytes()
    except OSError:
        return None
    # proc(5): the name stands in parentheses and may hold anything, so count from the last one.
    fields = stat[stat.rindex(b")") + 2 :].split()
    # A process whose first thread has ended looks dead while its other threads work on.
    dead = fields[0] in (b"Z", b"X") and int(fields[17]) <= 1
    return Process(pid, int(fields[1]), int(fields[3]), int(fields[19]), zombie=dead)


def _mark_of(pid: int) -> str:
    return f"{pid}-{start_time_of(pid)}"


def _carried_mark(pid: int) -> str:
    # Not to be asked of a child that has just been started: for a moment it has no environment yet.
    try:
        environ = Path(f"{_PROC}/{pid}/environ").read_bytes()
    except OSError:
        return ""
    key = f"{_MARK}=".encode()
    return next((entry[len(key) :].decode() for entry in environ.split(b"\0") if entry.startswith(key)), "")


def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
