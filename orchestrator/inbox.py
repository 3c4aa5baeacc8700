"""What people ask of a loop: left in a folder at any time, entered in the journal by whoever holds the lock.

A request is a file under its id in `.orchestrator/requests/`, and stays there. The journal has each id once, so a
kill between the two loses nothing and does nothing twice. `user_input.md` is taken by a rename and kept likewise.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import RecordError
from orchestrator.records.items import Priority

__all__ = ["USER_INPUT", "leave_request", "read_requests", "take_user_input", "tell_request", "waiting_requests"]

USER_INPUT = "user_input.md"
_FIELDS = {
    "stop": {"note"},
    "pause": {"note", "off"},
    "raise-budget": {"iterations", "minutes"},
    "block": {"item", "note"},
    "clear": {"item", "note"},
    "reopen": {"item", "note"},
    "prioritise": {"item", "level"},
    "approve": {"item", "commit"},
}
_INPUT_SHOWN = 1 << 16  # characters of a user's input that reach a prompt; the whole of it stays in the file


def _new_id() -> str:
    return f"{time.time_ns():020d}-{os.getpid()}"


def leave_request(home: Path, request: Mapping[str, object]) -> str:
    """Leave a request where the loop finds it, whole or not at all; its id."""
    request_id = _new_id()
    folder = home / "requests"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".", delete=False) as stream:
        json.dump({"id": request_id, **request}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    Path(stream.name).replace(folder / f"{request_id}.json")
    return request_id


def waiting_requests(home: Path, taken: Collection[str]) -> list[Path]:
    """List requests and user input that the journal does not have yet, the oldest first."""
    found = [path for name in ("requests", "user_input") for path in (home / name).glob("[0-9]*")]
    return sorted((path for path in found if path.stem not in taken), key=lambda path: path.stem)


def take_user_input(root: Path, home: Path) -> None:
    """Move `user_input.md` of the checkout at `root` to where it is kept, in one step; nothing if there is none."""
    path, folder = root / USER_INPUT, home / "user_input"
    if not path.is_file() or path.is_symlink() or not path.stat().st_size or _is_being_written(path):
        return
    folder.mkdir(exist_ok=True)
    stat = path.stat()
    kept = folder / f"{stat.st_mtime_ns:020d}-{stat.st_ino}.md"  # taken once, even if a kill leaves the original
    try:
        path.rename(kept)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = folder / f".{kept.name}"
        part.write_bytes(path.read_bytes())
        part.replace(kept)
        path.unlink()


def _is_being_written(path: Path) -> bool:
    """Whether somebody still writes the file, as far as the kernel tells, or it is not ours to read."""
    try:
        with path.open("rb") as stream:
            if sys.platform == "linux":  # a lease is refused while the file is open for writing
                fcntl.fcntl(stream, fcntl.F_SETSIG, signal.SIGURG)  # whoever opens it meanwhile would send SIGIO
                fcntl.fcntl(stream, fcntl.F_SETLEASE, fcntl.F_RDLCK)
                fcntl.fcntl(stream, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return not os.access(path, os.R_OK)
    return False


def _is_whole(data: Mapping[str, Any]) -> bool:
    """Whether a request has what its kind needs."""
    needed = _FIELDS.get(str(data.get("kind")))
    levels = {priority.label for priority in Priority}
    return needed is not None and needed <= data.keys() and data.get("level", "Low") in levels


def _no_constant(name: str) -> object:
    raise ValueError(name)  # NaN and infinities: the journal does not take them


def tell_request(data: Mapping[str, Any]) -> str:
    """Return a request in words; one that a hand wrote may lack anything but its kind."""
    kind, note, commit = data["kind"], data.get("note") or "", data.get("commit")
    words = [kind, data.get("item"), data.get("level"), commit and f"as of {commit[:10]}"]
    if kind == "raise-budget":
        given = ((data.get("iterations"), "iteration"), (data.get("minutes"), "minute"))
        more = [f"{number:g} {what}{'s' if number != 1 else ''}" for number, what in given if number]
        words = [" and ".join(more), "more"]
    elif kind == "pause":
        words = ["let go on" if data.get("off") else "paused"]
    why = f" {note}" if note.startswith("by ") else f": {note}" if note else ""
    return " ".join(word for word in words if word) + why


def read_requests(home: Path, taken: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give what is waiting as journal events: kind and data.

    Raises
    ------
    RecordError
        A request is damaged: a person wrote it by hand, or the disk is failing.
    """
    for path in waiting_requests(home, taken):
        content = path.read_bytes()
        if path.suffix == ".md":
            text = content.decode("utf-8", errors="replace")
            if len(text) > _INPUT_SHOWN:
                text = f"{text[:_INPUT_SHOWN]}\n\n(cut here; the whole text is in {path})"
            yield "user.input", {"id": path.stem, "text": text}
            continue
        try:
            data = json.loads(content, parse_constant=_no_constant)
        except ValueError:
            data = None
        if not isinstance(data, dict) or data.get("id") != path.stem or not _is_whole(data):
            raise RecordError(f"{path}: expected a request, came {content[:80]!r}; remove the file and ask again")
        yield "override", data
