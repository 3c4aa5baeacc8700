"""The journal: an append-only file of events, a checksum per line, that survives a kill at any point."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from orchestrator.errors import JournalError

__all__ = ["Event", "Journal", "read_journal"]

_CHECKSUM = b',"sha256":"'
_FIELDS = {"seq": int, "time": str, "kind": str, "data": dict}


@dataclass(frozen=True)
class Event:
    """One line of the journal.

    Attributes
    ----------
    seq
        1, 2, 3 …: the order of events, whatever the clock did.
    time
        UTC in ISO 8601, to the millisecond.
    kind, data
        What happened; `data` holds JSON values only.
    """

    seq: int
    time: str
    kind: str
    data: Mapping[str, object]


class Journal:
    """The journal as its one writer sees it; made by `Journal.open`, closed by `close` or `with`."""

    def __init__(self, path: Path, descriptor: int, events: list[Event], size: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._events = events
        self._size = size

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a journal for appending; it is created, with its folder, if there is none.

        A last line that a kill cut short was never acknowledged: it goes to a backup file beside the
        journal, and the journal goes on without it.

        Raises
        ------
        JournalError
            If any other line is damaged. The file stays as it is, a copy is kept beside it, and the
            message names line and copy.
        """
        is_new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            if is_new:
                _sync_folder(path.parent)
            content = path.read_bytes()
            whole = content.rfind(b"\n") + 1
            try:
                events = _parse(content[:whole], path)
            except JournalError as error:
                raise JournalError(f"{error}; a copy is {_keep(path, 'damaged', content)}") from error
            if whole < len(content):
                _keep(path, "torn", content[whole:])
                os.ftruncate(descriptor, whole)
                os.fsync(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, events, whole)

    @property
    def events(self) -> tuple[Event, ...]:
        """All events, in order."""
        return tuple(self._events)

    def append(self, kind: str, data: Mapping[str, object]) -> Event:
        """Write an event and return it once the disk has it.

        Parameters
        ----------
        kind
            What happened, such as `turn.started`.
        data
            JSON values. The event that is returned holds what a reader will find: lists for tuples.

        Raises
        ------
        JournalError
            If `data` cannot be written as JSON, or the disk does not take it; then the journal is as it was.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"seq": len(self._events) + 1, "time": now, "kind": kind, "data": dict(data)}
        try:
            body = json.dumps(record, allow_nan=False, separators=(",", ":")).encode()
        except (TypeError, ValueError) as error:
            raise JournalError(f"event {kind}: expected JSON values, came {error}; convert them first") from error
        line = _seal(body)
        self._check_place()
        try:
            written = os.write(self._descriptor, line)
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._undo(kind, str(error)) from error
        if written < len(line):
            raise self._undo(kind, f"only {written} of {len(line)} bytes were taken: {os.strerror(errno.ENOSPC)}")
        self._size += len(line)
        event = _parse_event(line, len(self._events) + 1)
        self._events.append(event)
        return event

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _check_place(self) -> None:
        """Check that the file is the one that was opened, with nothing but what was written here."""
        there = self.path.stat() if self.path.exists() else None
        if there is None or there.st_ino != os.fstat(self._descriptor).st_ino:
            raise JournalError(
                f"{self.path}: expected the file that was opened, came none: somebody removed it; start again"
            )
        if there.st_size != self._size:
            what = f"expected {self._size} bytes, came {there.st_size}: somebody else wrote to it"
            raise JournalError(f"{self.path}: {what}; start again, and the line is found and named")

    def _undo(self, kind: str, reason: str) -> JournalError:
        os.ftruncate(self._descriptor, self._size)
        return JournalError(f"{self.path}: event {kind} cannot be written: {reason}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_journal(path: Path) -> tuple[Event, ...]:
    """Read a journal that somebody else may be writing; changes nothing.

    Parameters
    ----------
    path
        The journal; one that does not exist yet has no events.

    Returns
    -------
    tuple of Event
        All whole lines; a last one without its end is still being written.

    Raises
    ------
    JournalError
        If a line is damaged; the message names it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    return tuple(_parse(content[: content.rfind(b"\n") + 1], path))


def _seal(body: bytes) -> bytes:
    """Put the checksum of a JSON object's bytes behind its last field, and end the line."""
    return body[:-1] + _CHECKSUM + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def _parse(content: bytes, path: Path) -> list[Event]:
    events = []
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            events.append(_parse_event(line + b"\n", number))
        except ValueError as error:
            raise JournalError(f"{path}:{number}: {error}; restore the line, or move the journal away") from error
    return events


def _parse_event(line: bytes, seq: int) -> Event:
    """Read a line; a ValueError says what was expected of it."""
    before, found, _ = line.rpartition(_CHECKSUM)
    if not found or _seal(before + b"}") != line:
        raise ValueError("expected a line that agrees with its checksum, came one that was changed")
    record = json.loads(f"{before.decode()}}}")
    if [type(record.get(name)) for name in _FIELDS] != [*_FIELDS.values()]:
        wrong = [name for name, kind in _FIELDS.items() if type(record.get(name)) is not kind]
        raise ValueError(f"expected {wrong[0]!r} to be {_FIELDS[wrong[0]].__name__}, came {record.get(wrong[0])!r}")
    if record["seq"] != seq:
        raise ValueError(f"expected event {seq}, came event {record['seq']}")
    return Event(record["seq"], record["time"], record["kind"], record["data"])


def _keep(path: Path, why: str, content: bytes) -> Path:
    """Write a copy beside the journal; the same content is kept once."""
    copy = path.with_name(f"{path.name}.{why}-{hashlib.sha256(content).hexdigest()[:12]}")
    with copy.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)
    return copy


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
