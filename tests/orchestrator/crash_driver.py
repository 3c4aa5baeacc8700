"""Run the loop in forked children, each struck just before a durable operation, until there is no new one to strike at.

``python crash_driver.py PROJECT STRIKE PLACES ARGUMENT...`` prints one JSON object. STRIKE is `kill`, `term`, `full`
(the disk, until the child has ended) or `files` (no descriptor is left).
PLACES is `all`, `core` (around refs, index, journal and children) or a pattern. Nothing of the harness is
replaced: an audit hook sees every file that is opened for writing, renamed or removed and every child that is started;
what goes into the journal and the lock is seen at `os.write` and `os.pwrite`. A place is a segment (the part of the
turn, or the start after whatever the journal ended with), what is done there, without names that vary, and how often it
was done before in the segment: the same place in every child.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

READING = {
    "rev-parse",
    "diff-tree",
    "ls-tree",
    "cat-file",
    "log",
    "config",
    "status",
    "rev-list",
    "diff",
    "show",
    "for-each-ref",
}
FILE_EVENTS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.chmod", "os.truncate"}
CORE_GIT = {"update-ref", "symbolic-ref", "worktree", "read-tree"}
VARYING = re.compile(
    r"\d{4}-(?=galph|ralph|reviewer)|\b[0-9a-f]{40}\b|-[0-9a-f]{8,12}\b|tmp\w{8}|artifacts/\w\w(?=/|$)|\d{4}-\d\d-\d\dT\d{6}Z"
)
SEGMENTS = {"turn.verified": "keep", "turn.committed": "between turns", "turn.abandoned": "between turns"}
CORE_FILES = ("journal", "orchestrator.lock", "info/exclude", "/current", ".part", "abandoned")
MOST_PLACES = 1000  # more are no new places but a mistake
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def fill_disk(folder: Path) -> None:
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    with contextlib.suppress(OSError), (folder / "filler").open("ab", buffering=0) as file:
        while True:
            file.write(bytes(1 << 8))


STRIKES: dict[str, Callable[[Path], None]] = {
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "term": lambda _: os.kill(os.getpid(), signal.SIGTERM),
    "full": fill_disk,
    "files": lambda _: resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0), 4096)),
}


def last_event(journal: Path) -> str:
    """What the journal ends with: the kind of its last whole line."""
    lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
    if not lines:
        return "nothing"
    event = json.loads(lines[-1])
    return str(event["kind"])


class Injector:
    """Counts durable operations in a child and strikes at the first that no child was struck at before."""

    def __init__(self, root: Path, seen: set[str], answer: int, strike: str, places: str) -> None:
        self.root, self.seen, self.answer, self.places = str(root), seen, answer, places
        self.strike, self.tears = STRIKES[strike], strike == "kill"
        self.journal = root / ".orchestrator" / "journal.jsonl"
        self.segment = f"start after {last_event(self.journal)}"
        self.counts: Counter[str] = Counter()
        self.armed = True

    def reach(self, what: str, *, core: bool = True) -> bool:
        """An operation is about to happen; True if this child was to be struck here."""
        if not self.armed or (self.places == "core" and not core):
            return False
        place = f"{self.segment}: {VARYING.sub('…', what.replace(self.root, ''))}"
        self.counts[place] += 1
        place += f" #{self.counts[place]}"
        if place in self.seen or (self.places not in {"all", "core"} and not re.search(self.places, place)):
            return False
        self.armed = False
        os.write(self.answer, place.encode(errors="replace"))
        return True

    @staticmethod
    def place_of(path: Any, folder: Any = -1) -> str:
        """Name a file that is given by its path, its descriptor, or its name in a folder's descriptor."""
        if isinstance(path, int):
            return str(Path(f"/proc/self/fd/{path}").readlink())
        text = os.fsdecode(path)
        within = isinstance(folder, int) and folder >= 0
        return f"{Path(f'/proc/self/fd/{folder}').readlink()}/{text}" if within else text

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            words = [os.fsdecode(word) for word in arguments[1]]
            if words[0] != "git" or self.git_command(words)[0] not in READING:
                self.hit(f"before {self.shown(words)}")
        elif (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING) or event in FILE_EVENTS:
            by_handle = event in {"os.remove", "os.rmdir", "os.mkdir"}
            path = self.place_of(arguments[0], arguments[-1] if by_handle else -1)
            changes = os.path.lexists(path) != (event == "os.mkdir") or event == "open"
            if path.startswith(self.root) and changes:
                self.hit(f"{event} {path}", core=any(part in path for part in CORE_FILES))

    def hit(self, what: str, *, core: bool = True) -> None:
        if self.reach(what, core=core):
            self.strike(Path(self.root).parent)

    @staticmethod
    def git_command(words: list[str]) -> list[str]:
        while words and (words[0] in {"git", "-c"} or "=" in words[0]):
            words = words[2 if words[0] == "-c" else 1 :]
        return words

    def shown(self, words: list[str]) -> str:
        return " ".join(["git", *self.git_command(words)] if words[0] == "git" else words)

    def install(self) -> None:
        write, pwrite, start = os.write, os.pwrite, subprocess.Popen.__init__

        def watched_write(descriptor: int, data: bytes) -> int:
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and self.place_of(descriptor) == str(self.journal):
                event = json.loads(bytes(data))
                self.hit(f"before the line {event['kind']}")
                if self.reach(f"half of the line {event['kind']}"):
                    if self.tears:
                        write(descriptor, data[: len(data) // 2])
                    self.strike(Path(self.root).parent)
                self.segment = SEGMENTS.get(event["kind"], event["data"].get("role") or self.segment)
            return write(descriptor, data)

        def watched_pwrite(descriptor: int, data: bytes, offset: int) -> int:
            self.hit("before the lock's text")
            return pwrite(descriptor, data, offset)

        def watched_start(process: Any, arguments: Any, *rest: Any, **settings: Any) -> None:
            start(process, arguments, *rest, **settings)
            words = [os.fsdecode(word) for word in arguments]
            verb = self.git_command(words)[0] if words[0] == "git" else ""
            if verb not in READING:
                self.hit(f"just after the start of {self.shown(words)}", core=not verb or verb in CORE_GIT)

        os.write, os.pwrite, subprocess.Popen.__init__ = watched_write, watched_pwrite, watched_start
        sys.addaudithook(self.hook)


def run_child(project: Path, injector: Injector, arguments: list[str]) -> int:
    """Fork and run the loop in the child; its process id."""
    from orchestrator import loop  # noqa: PLC0415 -- imported once, before the first fork

    child = os.fork()
    if child:
        return child
    code = 99
    try:
        log = os.open("driver.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.chdir(project)
        os.dup2(log, 1)
        os.dup2(log, 2)
        injector.install()
        code = loop.main(arguments)
        sys.stdout.flush()
    finally:
        os._exit(code)


def mark_of(child: int) -> str:
    """What the children of a process carry in their environment."""
    fields = Path(f"/proc/{child}/stat").read_bytes().rpartition(b")")[2].split()
    return f"ORCHESTRATOR_PARENT={child}-{int(fields[19])}"


def survivors(marks: set[str]) -> list[int]:
    """Living processes that a dead child left."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            environment = (folder / "environ").read_bytes().split(b"\0") if folder.name.isdigit() else []
        except OSError:
            continue
        if marks & {os.fsdecode(word) for word in environment if word.startswith(b"ORCHESTRATOR_PARENT=")}:
            found.append(int(folder.name))
    return found


def main(argv: list[str]) -> None:
    project, strike, places, arguments = Path(argv[0]), argv[1], argv[2], argv[3:]
    for module in ("yaml", "jinja2", "rich.console", "rich.text"):
        __import__(module)
    struck: dict[str, str] = {}  # by place: how the child ended and the last line it wrote
    marks = set()
    place = "start"
    while place and len(struck) < MOST_PLACES:
        reader, answer = os.pipe()
        child = run_child(project, Injector(project, set(struck), answer, strike, places), arguments)
        marks.add(mark_of(child))
        _, status = os.waitpid(child, 0)
        (project.parent / "filler").unlink(missing_ok=True)
        os.close(answer)
        with os.fdopen(reader) as told:
            place = told.read().strip()
        code = os.waitstatus_to_exitcode(status)
        said = Path("driver.log").read_text().strip().rpartition("\n")[2]
        if place:
            struck[place] = f"{code}: {said}"
        if code in {70, 99}:
            break
    print(json.dumps({"struck": struck, "code": code, "survivors": survivors(marks)}))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
