"""How long the audit of many hubs takes: memory, ledger, summaries, logs, XML, manifests and a repository.

`python benchmarks/audit.py` builds a tree of 1,000 hubs of 40 items, of which every hundredth claim is untrue, and
prints the processor's seconds and those on the clock of `python -m orchestrator audit`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["main"]

_ITEMS = 40
_TESTS = 30
_START = datetime(2026, 1, 1, tzinfo=UTC)


def _hub(folder: Path, passed: int, failed: int) -> None:
    """Write what a turn leaves: a log of its collection, one of its run, XML, an exit code, a picture, a manifest."""
    folder.mkdir(parents=True)
    names = [f"tests/test_part.py::TestPart::test_{number}" for number in range(passed + failed)]
    words = ["PASSED"] * passed + ["FAILED"] * failed
    bar, count = "=" * 30, f"{passed} passed" + (f", {failed} failed" if failed else "")
    head = f"{bar} test session starts {bar}\nplatform linux -- Python 3.11\ncollected {len(names)} items\n\n"
    log = head + "".join(f"{name} {word} [ 50%]\n" for name, word in zip(names, words, strict=True))
    (folder / "pytest.log").write_text(f"{log}\n{bar} {count} in 1.23s {bar}\n")
    collected = "".join(f"{name}\n" for name in names)
    (folder / "pytest_collect.log").write_text(f"{collected}\n{len(names)} tests collected in 0.12s\n")
    inner = ["<failure/>" if word == "FAILED" else "" for word in words]
    cases = "".join(
        f'<testcase classname="tests.test_part.TestPart" name="test_{number}">{what}</testcase>'
        for number, what in enumerate(inner)
    )
    suite = f'<testsuite tests="{len(names)}" failures="{failed}" errors="0" skipped="0">{cases}</testsuite>'
    (folder / "junit.xml").write_text(f'<?xml version="1.0"?><testsuites>{suite}</testsuites>\n')
    (folder / "exit_code.txt").write_text(f"{int(failed > 0)}\n")
    (folder / "picture.png").write_bytes(b"\x89PNG" + bytes(20_000))
    files = [
        {"path": path.name, "size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
    ]
    (folder / "manifest.json").write_text(json.dumps({"files": files}, indent=1) + "\n")


def _commits(root: Path, count: int) -> list[str]:
    """Give a repository so many commits, and return their ids."""
    git = ["git", "-c", "user.name=u", "-c", "user.email=u@localhost"]
    subprocess.run([*git, "init", "-q", "-b", "main", str(root)], check=True)
    stream = "".join(
        f"commit refs/heads/main\nmark :{number}\ncommitter u <u@localhost> {number} +0000\ndata 7\nturn it\n"
        for number in range(1, count + 1)
    )
    subprocess.run([*git, "fast-import", "--quiet"], cwd=root, input=stream, text=True, check=True)
    done = subprocess.run([*git, "rev-list", "--reverse", "main"], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.split()


def build(root: Path, hubs: int) -> None:
    """Write a tree with so many hubs, each named by an entry, an attempt and a turn summary."""
    memory, attempts, summaries = ["# Memory\n"], dict[str, list[str]](), dict[str, list[str]]()
    for number, commit in enumerate(_commits(root, hubs)):
        item, time_of = f"PART-WORK-{number % _ITEMS:03}", _START + timedelta(minutes=20 * number)
        stamp, folder_stamp = time_of.strftime("%Y-%m-%dT%H:%M:%SZ"), time_of.strftime("%Y-%m-%dT%H%M%SZ")
        hub = f"plans/active/{item}/reports/{folder_stamp}/"
        failed = number % 3
        passed = _TESTS - failed
        _hub(root / hub, passed, failed)
        said = f"{passed + (number % 100 == 0)} passed" + (f", {failed} failed" if failed else "")
        turn = f"Did turn {number}.\nMapped tests: {said}.\nNext: the next phase.\nArtifacts: {hub} (pytest.log)\n"
        (root / hub / "summary.md").write_text(f"### Turn Summary\n{turn}")
        summaries.setdefault(item, []).append(f"### Turn Summary ({stamp})\n{turn}\n")
        line = f"  - *{stamp} (turn {number}):* Worked. Metrics: {said}. Artifacts: `{hub}`.\n"
        attempts.setdefault(item, []).append(line)
        memory.append(
            f"# {stamp}: {item} — turn {number}\n\n- dwell: 0\n- Focus issue: {item} — a part\n"
            f"- Tests: {said} (`tests/test_part.py`, 1.23s), commit {commit[:8]}\n- <Action State>: [planning]\n"
            f"- focus={item} state=planning dwell=0 ralph_last_commit={commit[:8]} artifacts={hub} next_action=more\n\n"
        )
    (root / "galph_memory.md").write_text("".join(memory))
    ledger = ["# Plan\n\n"]
    for item, lines in attempts.items():
        head = f"### [{item}] A part\n- Depends on: None\n- Status: in_progress\n- Attempts History:\n"
        ledger += [head, *lines, "\n"]
        (root / "plans" / "active" / item / "summary.md").write_text("".join(reversed(summaries[item])))
    (root / "docs").mkdir()
    (root / "docs" / "fix_plan.md").write_text("".join(ledger))


def main(argv: Sequence[str] | None = None) -> int:
    """Build a tree, audit it, print the time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hubs", type=int, default=1000, metavar="N")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "tree")
        build(root, arguments.hubs)
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", "audit", str(root), "--html", str(Path(folder, "audit.html"))],
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - begun
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(done.stdout.splitlines()[-1] if done.stdout else done.stderr)
        core = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        print(f"{core:.1f} s of a core, {seconds:.1f} s on the clock; exit code {done.returncode}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
