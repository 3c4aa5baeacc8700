"""A run in which much happens, for the tests of its pages: made once, by really running the loop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from orchestrator.inbox import leave_request

from .conftest import ACTOR, FILES, HARNESS, Project

__all__ = ["EVIL", "make_eventful_run", "make_troubled_run"]

EVIL = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"

# The report's row draws a small picture, and one too large for a hub.
_REPORT = """import json, struct, sys, zlib
from pathlib import Path
from calc import mean

def picture(size):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\\0" + bytes((x * y) % 256 for x in range(3 * size)) for y in range(size))
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\\x89PNG\\r\\n\\x1a\\n" + b"".join(
        (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows, 0)), chunk(b"IEND", b""))
    )

hub = Path(sys.argv[1])
(hub / "report.json").write_text(json.dumps({"mean": mean([1, 2, 6])}))
(hub / "small.png").write_bytes(picture(40))
(hub / "large one.png").write_bytes(picture(340))
"""

_BEHAVIOUR = f"""
EVIL = {EVIL!r}

number = int(request["turn"].rpartition("/")[2].partition("-")[0])

def galph():
    supervise(facts, work)
    if number == 11:
        swap("input.md", "MEAN-REPORT-001", "MEAN-NOWHERE-001")

def ralph():
    print("\\x1b[31mred\\x1b[0m", EVIL, "right to left \\u202e", flush=True)
    if item["id"] != "MEAN-FIX-001":
        say("The rows are for the harness to run.")
    elif number == 2:
        write("half.py", "half = " + repr(EVIL) + "\\n")
        sys.exit(3)
    elif number == 4:
        write("calc.py", "def mean(values):\\n    return 4  # " + EVIL + "\\n")
        write("a name\\nof two lines ü.py", "x = 1\\n")
        (work / "bytes.py").write_bytes(b"# \\xff\\xfe not UTF-8\\r\\n")
        (work / os.fsdecode(b"no\\xffutf8.py")).write_text("y = 1\\n")
        write("input.md", "an engineer may not write this")
        write("long.py", "".join(f"line_{{n}} = {{n}}\\n" for n in range(2000)))
        say("All mapped tests pass. " + EVIL, "Looked at `calc.py` with care.")
    elif number >= 10:
        right()
        say("Did what the handoff asks.")
    else:
        say("Thought about it.")
"""


def _make(folder: Path, behaviour: str) -> tuple[Project, tuple[str, ...]]:
    """A project and the flag that gives its loop an agent of this behaviour."""
    project = Project(folder / "a project <with> spaces")
    project.root.mkdir()
    project.git("init", "-q", "-b", "main")
    for path, text in (FILES | {"report.py": _REPORT}).items():
        project.write(path, text)
    project.commit("start")
    script = folder / "actor.py"
    script.write_text(ACTOR.replace("{harness!r}", repr(str(HARNESS))).replace("{body}", behaviour))
    own = ("--agent-command", f"{sys.executable} {script} {{request_file}}")
    return project, (*own, "--sandbox", "off")  # behind walls it could not end the loop


def make_eventful_run(folder: Path) -> Project:
    """A crash, a refused lie, a blocked item, a person who clears it and writes, a bad handoff, pictures, an end."""
    project, agent = _make(folder, _BEHAVIOUR)
    assert project.loop(*agent).code == 12
    cleared = project.command("orchestrator", "clear", "MEAN-FIX-001", "--note", f"look again {EVIL}")
    assert cleared.returncode == 0, cleared.stderr
    project.write("user_input.md", f"Please divide by the length. {EVIL}\n")
    done = project.loop(*agent)
    assert done.code == 0, done.said
    return project


_TROUBLE = """
import signal
here = pathlib.Path(sys.argv[1]).parents[4]  # the project's root

def galph():
    if (here / "kill").exists():
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(0)
    supervise(facts, work)
    if (here / "bad handoff").exists():
        (here / "bad handoff").unlink()
        swap("input.md", "MEAN-FIX-001", "MEAN-NOWHERE-001")

def ralph():
    if (here / "fail").exists():
        sys.exit(3)
    say("Thought about it.")
"""


def make_troubled_run(folder: Path, look: Callable[[Project, str], object]) -> None:
    """Every request a person can make, every way a run can end badly; `look` is called after each, with its name."""
    project, agent = _make(folder, _TROUBLE)
    project.write(".git/info/exclude", "kill\nfail\nbad handoff\n")

    def ask(kind: str, *words: str) -> None:
        done = project.command("orchestrator", kind, *words)
        assert done.returncode == 0, (kind, done.stdout, done.stderr)

    def leave(**request: object) -> None:  # what a command leaves only while a loop runs
        leave_request(project.root / ".orchestrator", {"note": "by me", **request})

    project.write("bad handoff", "")
    assert project.loop(*agent, "--iterations", "1").code == 13
    look(project, "limit")
    ask("pause", "--note", "the beam is down")
    ask("pause", "--off")
    ask("block", "MEAN-REPORT-001", "--note", "not yet")
    ask("reopen", "MEAN-LATER-001")
    ask("prioritise", "MEAN-REPORT-001", "critical")
    leave(kind="raise-budget", iterations=1, minutes=0.0)
    leave(kind="raise-budget", iterations=3, minutes=2.5)
    plan = "plans/active/MEAN-FIX-001/implementation.md"
    project.write(plan, (project.root / plan).read_text().replace("the acceptance", "both acceptance"))
    project.commit()
    ask("approve", "MEAN-FIX-001")
    project.write("kill", "")
    assert project.loop(*agent).code == -9
    look(project, "killed")
    (project.root / "kill").unlink()
    ask("clear", "MEAN-REPORT-001")
    project.write("fail", "")
    assert project.loop(*agent).code == 14
    look(project, "agent failed")
    leave(kind="stop")
    assert project.loop(*agent).code == 130
    look(project, "stopped")
    (project.root / ".orchestrator/journal.jsonl").unlink()
    assert project.loop(*agent, "--iterations", "1").code == 13
    look(project, "rebuilt")
