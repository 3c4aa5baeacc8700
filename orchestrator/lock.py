"""One loop per repository: a lock that the kernel lets go when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import LockError

__all__ = ["hold_lock", "is_held", "read_holder"]


@contextmanager
def hold_lock(path: Path, *, holder: Mapping[str, object]) -> Iterator[None]:
    """Hold a lock for the length of a `with` block.

    The file stays when the lock is let go: deleting it would let two holders in, each with a file of its
    own. What it says is only for the message; the proof that a dead holder's lock may be taken over is
    that the kernel gives it.

    Parameters
    ----------
    path
        The lock's file, in a folder that exists.
    holder
        Who takes the lock: process, start, host and workspace, shown to whoever comes second.

    Raises
    ------
    LockError
        If somebody holds it; the message says who.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockError(
                f"{path}: expected a free lock, came one held by {_describe(path)}; wait for that loop to "
                "end, or end it with `python -m orchestrator stop`"
            ) from error
        content = json.dumps(dict(holder)).encode() + b"\n"
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, content, 0)
        os.fsync(descriptor)
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock now."""
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def read_holder(path: Path) -> dict[str, object]:
    """Return what whoever holds the lock wrote into it; nothing when nobody holds it, or has not written yet."""
    try:
        holder = json.loads(path.read_bytes()) if is_held(path) else {}
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def _describe(path: Path) -> str:
    words = ", ".join(f"{name} {value}" for name, value in read_holder(path).items())
    return words or "somebody who has not written a name yet"
