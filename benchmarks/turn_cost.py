"""What a turn of the loop costs beside the bare git commands that it cannot do without.

    python benchmarks/turn_cost.py [--turns 40] [--long 2000] [--out benchmarks/results]

The agent is a shell script that leaves the least a turn accepts, so what is timed is the harness. The bare commands
(`Bare.turn`, the one place that says which) are run in the same minutes on the same repository, one after the other
with `subprocess`, and nothing around them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import pty
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orchestrator
from orchestrator.config import resolve_config
from orchestrator.loop import run
from orchestrator.opening import open_session
from orchestrator.report.live import Live
from orchestrator.session import Session
from orchestrator.workspace import find_workspace

HARNESS_PYTHON = (sys.executable, "-P", "-m")
HARNESS_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "PYTHONPATH": str(Path(orchestrator.__file__).parents[1]),
}
ITEM = "NOTHING-TO-DO-001"
RATIO_LIMIT = 3.0
STATUS_LIMIT_S = 0.3
SILENT_LIMIT_PERCENT = 1.0
ANCESTOR = "hoidn/orchestration: 341 ms a turn without git, 409 ms with git (medians)"

LEDGER = f"""# Fix plan

### [{ITEM}] An agent that does nothing
- Depends on: None
- Priority: High
- Status: pending
- Attempts History:
"""

AGENT = f"""#!/bin/sh
# Leaves an entry and a handoff as galph, and nothing at all as ralph.
[ "$1" = galph ] || exit 0
cat >> galph_memory.md <<END

# 2026-01-01T00:00:00Z: {ITEM} — nothing handed over

- Focus issue: {ITEM} — nothing
- Action type: Planning
- Mode: Implementation
- Documents reviewed: none
- <Action State>: [ready_for_implementation]
- focus={ITEM} state=ready_for_implementation dwell=0 ralph_last_commit=none artifacts=N/A next_action=nothing
END
cat > input.md <<END
Summary: nothing ($2)
Mode: Implementation
Focus: {ITEM} — nothing
Mapped tests: none
Do Now:
1. Implement: nothing.py — nothing
2. Test: pytest nothing.py
If Blocked: none
Priorities & Rationale: none
How-To Map: none
Pitfalls To Avoid: none
Findings Applied: none
Pointers: none
Next Up: none
END
"""


@dataclass(frozen=True)
class Cost:
    """Milliseconds a turn, medians over one stretch of a run, and of the bare commands beside it."""

    what: str
    files: int
    after_turns: int
    turns: int
    turn_ms: float
    bare_ms: float

    @property
    def ratio(self) -> float:
        """Turn over bare commands."""
        return self.turn_ms / self.bare_ms


def git(root: Path, *arguments: str, stdin: str = "", index: Path | None = None) -> str:
    """Run a bare git command."""
    env = {**os.environ, **({"GIT_INDEX_FILE": str(index)} if index else {})}
    argv = ["git", *arguments]
    return subprocess.run(argv, cwd=root, env=env, input=stdin, capture_output=True, text=True, check=True).stdout


def make_repository(root: Path, files: int) -> None:
    """Make a repository of so many files, with the loop's documents and the agent beside it."""
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "bench")
    git(root, "config", "user.email", "bench@localhost")
    for number in range(files):
        path = root / "src" / f"part{number // 100:03d}" / f"module{number:05d}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"VALUE = {number}\n" * 20, encoding="utf-8")
    (root / "docs").mkdir()
    (root / "docs/fix_plan.md").write_text(LEDGER, encoding="utf-8")
    (root / "galph_memory.md").write_text("# Memory of the supervisor\n", encoding="utf-8")
    (root / "input.md").write_text("# Handoff\n", encoding="utf-8")
    git(root, "add", "--all")
    git(root, "commit", "-q", "-m", "start")
    (root.parent / "agent.sh").write_text(AGENT, encoding="utf-8")


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Session]:
    """Open the run whose every call of the loop is one iteration: two turns."""
    flags = {
        "supervisor": "command",
        "engineer": "command",
        "agent_command": f"sh {root.parent}/agent.sh {{role}} {{request_file}}",
        "iterations": 1,
    }
    config = resolve_config(root, flags)
    with open_session(config, find_workspace(root), Live(io.StringIO()), lambda: False, fresh=False) as session:
        yield session


def take(session: Session, turns: int) -> list[float]:
    """Take turns; seconds of each, an iteration being two."""
    seconds = []
    for _ in range(turns // 2):
        began = time.perf_counter()
        run(session)
        seconds.append((time.perf_counter() - began) / 2)
        clear = {"id": "clear", "kind": "clear", "item": ITEM, "note": ""}
        session.journal.append("override", clear)  # as a person would, lest the item be blocked after four iterations
    return seconds


class Bare:
    """The git commands a turn needs, and nothing else, in a worktree and on a branch of their own.

    Nothing is verified in a turn without work, so the verification checkout is not brought to the tree here.
    """

    def __init__(self, repository: Path, start: str) -> None:
        self.repository, self.work = repository, repository.parent / "bare-work"
        self.index, self.documents = repository.parent / "bare-index", repository.parent / "bare-documents"
        git(repository, "worktree", "add", "-q", "-f", "-B", "bare", str(self.work), start)
        self.head = git(repository, "rev-parse", start).strip()
        git(self.work, "read-tree", self.head, index=self.index)
        git(self.work, "add", "--all", index=self.index)

    def turn(self) -> float:
        """Do what git has to do for one turn; seconds of it, the writing of two files left out."""
        work, index, now = self.work, self.index, time.monotonic_ns()
        (work / "input.md").write_text(f"# Handoff {now}\n", encoding="utf-8")
        self.documents.write_text(f"# Fix plan {now}\n", encoding="utf-8")
        began = time.perf_counter()
        # The tree that the agent left.
        git(work, "add", "--all", index=index)
        git(work, "write-tree", index=index)
        # The same with the harness's documents.
        blob = git(work, "hash-object", "-w", "--no-filters", str(self.documents)).strip()
        git(work, "update-index", "--index-info", stdin=f"100644 {blob}\tdocs/fix_plan.md\n", index=index)
        tree = git(work, "write-tree", index=index).strip()
        # One commit, the branch moved by compare-and-swap, the worktree brought to it.
        commit = git(work, "commit-tree", tree, "-p", self.head, "-F", "-", stdin="turn\n\nTurn-Id: x\n").strip()
        git(work, "update-ref", "refs/heads/bare", commit, self.head)
        git(work, "read-tree", "-u", "--reset", commit)
        self.head = commit
        return time.perf_counter() - began

    def close(self) -> None:
        """Take the worktree away."""
        git(self.repository, "worktree", "remove", "--force", str(self.work))


def measure(session: Session, what: str, turns: int) -> Cost:
    """Time turns and bare commands in alternation, a few of each at a time, so that a busy machine slows both."""
    root, after = session.workspace.root, len(session.state.turns)
    files = len(git(root, "ls-tree", "-r", "--name-only", session.run.branch).splitlines())
    bare = Bare(root, session.run.branch)
    spent: list[float] = []
    floor: list[float] = []
    take(session, 2)
    bare.turn()
    for _ in range(max(1, turns // 4)):
        spent += take(session, 4)
        floor += [bare.turn() for _ in range(4)]
    bare.close()
    return Cost(what, files, after, turns, 1000 * statistics.median(spent), 1000 * statistics.median(floor))


def seconds_of_status(root: Path, rounds: int = 9) -> float:
    """Return the median seconds of `status` as a whole process."""
    seconds = []
    for _ in range(rounds + 1):  # the first one compiles what was never run
        began = time.perf_counter()
        argv = [*HARNESS_PYTHON, "orchestrator", "status"]
        subprocess.run(argv, cwd=root, env=HARNESS_ENVIRONMENT, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def processor_seconds(pid: int) -> float:
    """Return what all threads of a process have used, from the scheduler's own count."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def percent_while_silent(root: Path, seconds: float, *, terminal: bool) -> float:
    """Return how much of one processor the loop uses while its agent sleeps, on a terminal or writing to a file."""
    screen, keyboard = pty.openpty()
    argv = [*HARNESS_PYTHON, "orchestrator.loop", "--iterations", "1", "--agent-command", f"sleep {seconds + 30:.0f}"]
    said = keyboard if terminal else subprocess.DEVNULL
    streams = {"stdin": subprocess.DEVNULL, "stdout": said, "stderr": said}
    with subprocess.Popen(argv, cwd=root, env=HARNESS_ENVIRONMENT, **streams) as loop:
        os.set_blocking(screen, False)
        used = []
        for wait in (5.0, seconds):  # first let it come so far that the agent sleeps
            end = time.monotonic() + wait
            while time.monotonic() < end:
                time.sleep(0.2)
                with contextlib.suppress(BlockingIOError):
                    os.read(screen, 1 << 16)
            used.append(processor_seconds(loop.pid))
        loop.terminate()
    for descriptor in (screen, keyboard):
        os.close(descriptor)
    return 100 * (used[1] - used[0]) / seconds


def table(record: dict[str, Any]) -> str:
    """Render the result for people."""
    lines = [
        "| repository | files | after turns | turn ms | bare git ms | ratio |",
        "|---|---|---|---|---|---|",
        *(
            f"| {c['what']} | {c['files']} | {c['after_turns']} | {c['turn_ms']:.0f} | {c['bare_ms']:.0f} "
            f"| {c['ratio']:.2f} |"
            for c in record["costs"]
        ),
        "",
        f"Limit of the ratio: {RATIO_LIMIT:g}. Beside it, {ANCESTOR}.",
        "",
        f"`status` at {record['status_turns']} turns: {record['status_s']:.3f} s, the whole process, limit "
        f"{STATUS_LIMIT_S:g} s. Processor while the agent is silent: {record['silent_percent']['file']:.2f} % with the "
        f"output in a file, {record['silent_percent']['terminal']:.2f} % on a terminal, limit "
        f"{SILENT_LIMIT_PERCENT:g} %.",
        "",
        f"{record['date']}, {record['turns']} turns for each row, {record['machine']}, load {record['load']:.1f}.",
    ]
    return "\n".join(lines) + "\n"


def take_record(folder: Path, turns: int, long: int, silent_s: float) -> dict[str, Any]:
    """Run everything; the figures as data."""
    small, large = folder / "small" / "repository", folder / "large" / "repository"
    costs = []
    make_repository(small, 50)
    with opened(small) as session:
        take(session, 8)
        costs.append(measure(session, "small", turns))
        take(session, long - len(session.state.turns))
        costs.append(measure(session, "small, long run", turns))
        reached = len(session.state.turns)
    status_s = seconds_of_status(small)
    make_repository(large, 5000)
    with opened(large) as session:
        take(session, 8)
        costs.append(measure(session, "large", turns))
    silent = {"file": False, "terminal": True}
    return {
        "costs": [asdict(cost) | {"ratio": cost.ratio} for cost in costs],
        "status_turns": reached,
        "status_s": status_s,
        "silent_percent": {
            name: percent_while_silent(large, silent_s, terminal=terminal) for name, terminal in silent.items()
        },
        "ancestor": ANCESTOR,
        "turns": turns,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {git(folder, '--version').strip()}, Python {platform.python_version()}",
        "load": os.getloadavg()[0],
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, and write it with --out; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--turns", type=int, default=40, help="turns timed for a row of the table (default: 40)")
    parser.add_argument("--long", type=int, default=2000, help="turns of the long run (default: 2000)")
    parser.add_argument("--silent", type=float, default=30, help="seconds to watch a silent agent (default: 30)")
    parser.add_argument("--out", type=Path, help="folder for turn_cost.md and turn_cost.json")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="turn-cost-") as folder:
        record = take_record(Path(folder), args.turns, args.long, args.silent)
    sys.stdout.write(table(record))
    if args.out:
        (args.out / "turn_cost.md").write_text(table(record), encoding="utf-8")
        (args.out / "turn_cost.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    held = (
        all(cost["ratio"] <= RATIO_LIMIT for cost in record["costs"]),
        record["status_s"] < STATUS_LIMIT_S,
        max(record["silent_percent"].values()) < SILENT_LIMIT_PERCENT,
    )
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
