"""Run a child process within limits, and leave nothing of it behind."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, cast

from orchestrator import lineage
from orchestrator.config import known_secrets
from orchestrator.errors import ProcessError, is_shortage
from orchestrator.secrets import Redactor

__all__ = ["ChildResult", "Ending", "Limits", "last_line", "run_child"]

_CHUNK_BYTES = 1 << 16
_TAIL_BYTES = 600
_FILE_BYTES = 1 << 34  # of one file that a child writes: what it leaves is hashed, and copied or committed
_STOP_EVERY_S = 0.25  # how often `should_stop` is asked while nothing else happens


class Ending(StrEnum):
    """Why a child is no longer running."""

    EXITED = "exited"
    WALL = "wall"
    SILENCE = "silence"
    OUTPUT = "output"
    STOPPED = "stopped"
    NOT_STARTED = "not-started"


@dataclass(frozen=True)
class Limits:
    """What a child may use.

    Attributes
    ----------
    wall_s
        Seconds from start to end.
    silence_s
        Seconds without a byte of output; None when silence is allowed for ever.
    output_bytes
        Bytes of output that are kept; a child that writes more is ended.

    Raises
    ------
    ProcessError
        If a limit is not positive.
    """

    wall_s: float
    silence_s: float | None = None
    output_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        for name in ("wall_s", "silence_s", "output_bytes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ProcessError(f"limit {name}: expected a positive number, came {value!r}; give it more")


@dataclass(frozen=True)
class ChildResult:
    """How a child ended.

    `code` is None for a child that never started, and negative for a signal (128 plus its number in a sandbox).
    `redacted` counts the pieces of output that held a secret.
    """

    argv: tuple[str, ...]
    code: int | None
    ending: Ending
    seconds: float
    log: Path
    log_bytes: int
    redacted: int = 0

    @property
    def ok(self) -> bool:
        """Whether the child ended by itself, with code 0."""
        return self.ending is Ending.EXITED and self.code == 0


def run_child(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    limits: Limits,
    stdin: bytes = b"",
    should_stop: Callable[[], bool] | None = None,
    on_started: Callable[[int], None] | None = None,
) -> ChildResult:
    """Run a program to its end, or to the end of its limits.

    The child leads a session of its own. Its standard output and error go to `log` byte for byte as they
    come, except for secrets, in whose place their kind stands; a word that has not ended yet waits for its
    end. The last line of the log says so when the child was ended by us. When the leader is gone,
    everything it started is ended too: first asked (TERM), after a short grace killed. On Linux that
    includes what left the session, because orphans fall to this process; elsewhere it is the process
    group. Run one child at a time: the orphans of two could not be told apart.

    Parameters
    ----------
    argv
        Program and arguments; no shell is involved.
    cwd, env
        Working directory and the complete environment of the child.
    log
        The file that receives the output; what it held before is lost.
    limits
        Wall time, silence and output.
    stdin
        What the child reads before it meets the end of the file.
    should_stop
        Asked several times a second; when it answers True the child is ended.
    on_started
        Called once with the process id, before the first wait.

    Returns
    -------
    ChildResult
        A program that cannot be started is a result too (`Ending.NOT_STARTED`, the reason in the log).

    Raises
    ------
    ProcessError
        If `argv` is empty, the log cannot be written to its end, or a process outlives being killed.
    """
    if not argv:
        raise ProcessError("argv: expected a program and its arguments, came nothing; name the program")
    has_orphans = lineage.adopt_orphans()
    with log.open("wb", buffering=0) as sink:
        started = time.monotonic()
        try:
            child = _spawn(argv, cwd, env, stdin)
        except (OSError, ValueError) as error:
            if is_shortage(error):
                raise
            why = "no such program" if isinstance(error, FileNotFoundError) else error
            sink.write(f"[orchestrator] not started: {argv[0]}: {why}\n".encode(errors="replace"))
            return ChildResult(tuple(argv), None, Ending.NOT_STARTED, 0.0, log, 0)
        born, is_walled = lineage.start_time_of(child.pid), Path(argv[0]).name == "bwrap"

        def family() -> list[lineage.Process]:
            childless = child.poll() is not None and has_orphans and not _has_children()
            found = [] if childless else lineage.find_family(child.pid, born)
            inside = [process for process in found if child.pid not in {process.pid, process.parent}]
            return inside if inside and is_walled else found  # who ends bubblewrap first kills what is in it

        with cast("BinaryIO", child.stdout) as source:
            tee = _Tee(source.fileno(), sink, limits.output_bytes, Redactor(known_secrets(env)))
            try:
                if on_started is not None:
                    on_started(child.pid)
                ending = _watch(child, tee, limits, started, should_stop)
                seconds = time.monotonic() - started
            finally:
                lineage.end_all(family, tee.readers())
                code = child.wait()
            tee.drain()
        if tee.error is not None:
            raise ProcessError(f"{log}: expected to keep the output, came {tee.error}") from tee.error
        if tee.full:
            ending = Ending.OUTPUT
        if ending is not Ending.EXITED:
            tee.note(f"ended after {seconds:.1f} s: {_reason(ending, limits)}")
        return ChildResult(tuple(argv), code, ending, seconds, log, tee.bytes, tee.redacted)


def last_line(log: Path | None) -> str:
    """Return the last line of a log that may still be written, empty when there is none."""
    if log is None or not log.is_file():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = stream.read().decode("utf-8", errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _spawn(argv: Sequence[str], cwd: Path, env: Mapping[str, str], stdin: bytes) -> subprocess.Popen[bytes]:
    # A file as standard input cannot block the writer and ends by itself, whatever the child does.
    with tempfile.TemporaryFile() as source:
        source.write(stdin)
        source.seek(0)
        child = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={**env, **lineage.make_mark()},
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
    _limit_files(child.pid)
    return child


def _limit_files(pid: int) -> None:
    """Limit how long a file a child and its descendants can make, where the system lets us."""
    if hasattr(resource, "prlimit"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            if soft == resource.RLIM_INFINITY or soft > _FILE_BYTES:
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (_FILE_BYTES, hard))


class _Tee:
    """The child's output on its way into the log."""

    def __init__(self, source: int, sink: BinaryIO, limit: int, redactor: Redactor) -> None:
        os.set_blocking(source, False)
        self.bytes = 0
        self.last = time.monotonic()
        self.full = False
        self.error: OSError | None = None
        self._source = source
        self._sink = sink
        self._limit = limit
        self._redactor = redactor
        self._open = True
        self._newline = b""

    def readers(self) -> dict[int, Callable[[], bool]]:
        """Say what to call when there is output; nothing once it is closed."""
        return {self._source: self.pump} if self._open else {}

    def pump(self) -> bool:
        """Take what one read gives; False at the end of the output."""
        self._take()
        return self._open

    def drain(self) -> None:
        """Take what is there, without waiting for more."""
        while self._open and not self.full and self._take():
            pass
        if not self.full:
            self._keep(self._redactor.flush())

    @property
    def redacted(self) -> int:
        """How many pieces of output held a secret."""
        return self._redactor.count

    def note(self, text: str) -> None:
        """Write a line of our own."""
        self._sink.write(self._newline + f"[orchestrator] {text}\n".encode())

    def _take(self) -> bool:
        try:
            data = os.read(self._source, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        self.last = time.monotonic()
        self._open = bool(data)
        if data and not self.full:
            self._keep(self._redactor.feed(data))
        return self._open

    def _keep(self, data: bytes) -> None:
        end = _end_within(data, self._limit - self.bytes)
        if end < len(data):
            self.full = True
            data = data[:end]
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._sink.write(rest) :]
        except OSError as error:
            self.full, self.error = True, error
        self.bytes += len(data)
        if data:
            self._newline = b"" if data.endswith(b"\n") else b"\n"


def _end_within(data: bytes, room: int) -> int:
    """Say how much of `data` to keep: `room` bytes, and up to three that end a UTF-8 character."""
    end = min(max(room, 0), len(data))
    while end < min(room + 3, len(data)) and data[end] & 0xC0 == 0x80:
        end += 1
    return end


def _watch(
    child: subprocess.Popen[bytes], tee: _Tee, limits: Limits, started: float, should_stop: Callable[[], bool] | None
) -> Ending:
    """Wait until the leader exits or must be ended; asleep in the kernel in between."""
    wall = started + limits.wall_s
    with lineage.Wait([lineage.open_pidfd(child.pid)], tee.readers()) as wait:
        while child.poll() is None:
            due = wall if limits.silence_s is None else min(wall, tee.last + limits.silence_s)
            now = time.monotonic()
            if tee.full:
                return Ending.OUTPUT
            if should_stop is not None and should_stop():
                return Ending.STOPPED
            if now >= due:
                return Ending.WALL if now >= wall else Ending.SILENCE
            wait.once(due - now if should_stop is None else min(due - now, _STOP_EVERY_S))
    return Ending.EXITED


def _reason(ending: Ending, limits: Limits) -> str:
    return {
        Ending.WALL: f"the wall limit of {limits.wall_s:g} s",
        Ending.SILENCE: f"no output for {limits.silence_s or 0:g} s",
        Ending.OUTPUT: f"more than {limits.output_bytes} bytes of output",
        Ending.STOPPED: "a stop was asked for",
    }[ending]


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
