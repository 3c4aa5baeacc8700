"""The loop killed at every durable operation: it ends with what an uninterrupted run leaves."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.inbox import leave_request

from .conftest import Project

Make = Callable[[str], Project]

LEDGER = """# Fix plan

### [TINY-001] Two files are written
- Depends on: None
- Priority: High
- Status: pending
- Kind: code
- Working Plan: `plans/active/TINY-001/implementation.md`
- Attempts History:
"""

PLAN = """# TINY-001

## Phase A — write
- [ ] A1: a number is written
  - Run: `sh number.sh {hub}`
  - Expect: `number.json:number == 3`
"""

MORE_PHASES = """
## Phase {letter} — copy
- [ ] {letter}1: the number is copied
  - Run: `sh copy.sh {{artifacts}}/A1 {{hub}}`
  - Needs: A1
  - Expect: `copy.json:number == 3`
"""

# Plays both roles in a few milliseconds; a wrong number first. Orphaned, it sleeps until somebody ends it.
AGENT = r"""#!/bin/sh
value() { sed -n "s/.*\"$1\": \"*\([^\",]\{1,\}\).*/\1/p" "$2" | head -n 1; }
[ "$1" ] && hub=$(value hub "$1") phase=$(value phase "$1") stamp=$(value stamp "$1")
case $1 in
*galph*)
    cat > input.md <<END
Summary: phase $phase at $stamp

Mode: Implementation

Focus: TINY-001 — Two files are written

Branch: loop/run-1

Mapped tests: none

Artifacts: $hub

Do Now:
1. Write the script that the open row of phase $phase names.
2. Run: \`sh number.sh {hub}\` — the row

If Blocked: say so.

Priorities & Rationale: it is the only item.

How-To Map:
Write the script.

Pitfalls To Avoid: none known

Findings Applied: none

Pointers:
- plans/active/TINY-001/implementation.md

Next Up: the next phase.
END
    cat >> galph_memory.md <<END

# ${stamp}: TINY-001 — phase $phase handed over

- dwell: 0
- Focus issue: TINY-001 — Two files are written
- Action type: Review → Implementation handoff
- Mode: Implementation
- Git sync: off
- Documents reviewed: docs/fix_plan.md

Nothing else is to be done.

- <Action State>: [ready_for_implementation]
- focus=TINY-001 state=ready_for_implementation dwell=0 ralph_last_commit=none artifacts=$hub next_action=phase $phase
END
    ;;
*)
    case $phase$(value attempts "$1") in
    A0) echo 'echo "{\"number\": 2}" > "$1/number.json"' > number.sh ;;
    A*) echo 'echo "{\"number\": 3}" > "$1/number.json"' > number.sh ;;
    *) echo 'cp "$1/number.json" "$2/copy.json"' > copy.sh ;;
    esac
    printf '### Turn Summary\nWrote what phase %s asks for.\nNothing was difficult.\nNext: the next phase.\n' "$phase" \
        > plans/active/TINY-001/summary.md
    ;;
esac
[ -e "/proc/$PPID/exe" ] || exec sleep 600
"""


@pytest.fixture
def make_tiny(tmp_path: Path) -> Callable[[str], Project]:
    return lambda letters: _make(tmp_path, letters)


def _make(tmp_path: Path, letters: str) -> Project:
    """A project of one item, whose agents need milliseconds."""
    project = Project(tmp_path / "disk" / "project")
    project.root.mkdir(parents=True)
    project.git("init", "-q", "-b", "main")
    project.write("docs/fix_plan.md", LEDGER)
    more = "".join(MORE_PHASES.format(letter=letter) for letter in letters)
    project.write("plans/active/TINY-001/implementation.md", PLAN + more)
    project.write("galph_memory.md", "# Memory of the supervisor\n")
    project.write("input.md", "# Handoff\n")
    project.write("mine.txt", "committed\n")
    project.commit()
    project.write("mine.txt", "changed, not committed\n")
    project.write("tmp.txt", "untracked\n")
    (project.root.parent / "agent.sh").write_text(AGENT)
    return project


def arguments(project: Project) -> list[str]:
    return ["--agent-command", f"sh {project.root.parent / 'agent.sh'} {{request_file}}"]


def strike(project: Project, how: str, places: str, prefix: tuple[str, ...] = ()) -> dict[str, str]:
    """Run the loop, struck at one more place each time, until there is none left; by place, how the child ended."""
    driver = Path(__file__).with_name("crash_driver.py")
    argv = [*prefix, sys.executable, str(driver), str(project.root), how, places, *arguments(project)]
    folder = project.root.parents[1]
    done = subprocess.run(argv, cwd=folder, env=project.environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["code"] == 0, (list(told["struck"].items())[-1], (folder / "driver.log").read_text()[-2000:])
    assert told["survivors"] == []
    return told["struck"]


VARYING = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:?\d\d:?\d\d(\.\d+)?Z|run-1/\d{4}|\b[0-9a-f]{7,64}\b|\"seconds\": [\d.]+|\"size\": \d+"
)


def left_behind(project: Project) -> dict[str, Any]:
    """Everything a run leaves, without what differs from run to run: stamps, hashes, turn numbers, durations."""
    project.git("fsck", "--no-dangling", "--no-progress")
    status = json.loads(project.command("orchestrator", "status", "--json").stdout)
    names = project.git("ls-tree", "-r", "--name-only", "loop/run-1").splitlines()
    tree = {VARYING.sub("…", f"{n}: {project.git('show', f'loop/run-1:{n}')}") for n in names if "measured" not in n}
    worktree = project.root / ".orchestrator/runs/run-1"
    turns = project.git("log", "--format=%(trailers:key=Turn-Id,valueonly)", "main..loop/run-1").split()
    assert len(turns) == len(set(turns))
    return {
        "tree": sorted(tree),
        "items": VARYING.sub("…", json.dumps(status["items"], sort_keys=True)),
        "open": status["open_turn"],
        "turns": project.git(
            "log", "--reverse", "--format=%s | %(trailers:key=Dwell,key=Criteria)", "main..loop/run-1"
        ),
        "worktree": Project(worktree).git("status", "--porcelain", "--ignored"),
        "stamps increase": turns == sorted(turns, reverse=True),
        "user": project.git("status", "--porcelain"),
        "exclude": (project.root / ".git/info/exclude").read_text(),
        "locks": [str(path) for path in project.root.rglob("*.lock") if path.name != "orchestrator.lock"],
        "iterations": [
            json.loads(line)["data"]["record"]["iteration"]
            for line in (project.root / ".orchestrator/journal.jsonl").read_text().splitlines()
            if '"kind":"turn.committed"' in line
        ],
    }


def undisturbed(project: Project) -> dict[str, Any]:
    """What a run leaves that nobody struck."""
    other = Project(project.root.parent / "undisturbed")
    subprocess.run(["cp", "-a", project.root, other.root], check=True)
    assert other.loop(*arguments(project)).code == 0
    return left_behind(other)


def check_every_place(project: Project, places: str) -> None:
    expected = undisturbed(project)
    assert expected["iterations"][:6] == [1, 1, 2, 2, 3, 3], "two attempts at phase A"
    struck = strike(project, "kill", places)
    assert left_behind(project) == expected
    assert {ending.partition(":")[0] for ending in struck.values()} == {"-9"}
    for line in ("turn.started", "turn.verified", "turn.committed", "turn.abandoned", "run.opened", "run.ended"):
        assert any(f"half of the line {line}" in place for place in struck), (line, struck)
    assert any(place.startswith("keep: before git clean") for place in struck)


def test_a_loop_killed_around_every_ref_index_and_journal_line_ends_as_if_nothing_had_happened(make_tiny: Make) -> None:
    check_every_place(make_tiny("BC"), "core")


@pytest.mark.slow
def test_a_loop_killed_at_every_durable_operation_ends_as_if_nothing_had_happened(make_tiny: Make) -> None:
    check_every_place(make_tiny("BCDEFG"), "all")


@pytest.mark.slow
def test_a_request_to_end_at_any_durable_operation_ends_the_loop_with_nothing_open_and_the_next_start_goes_on(
    make_tiny: Make,
) -> None:
    project = make_tiny("B")
    expected = undisturbed(project)
    struck = strike(project, "term", "core")
    assert {ending.partition(":")[0] for ending in struck.values()} <= {"130", "0"}
    assert left_behind(project) == expected


@pytest.mark.slow
def test_what_people_asked_for_is_done_once_wherever_the_loop_is_killed(make_tiny: Make) -> None:
    project = make_tiny("")
    plan = "plans/active/TINY-001/implementation.md"
    project.git("stash", "-q", "-u")
    project.git("checkout", "-q", "-b", "side")
    project.write(plan, PLAN.replace("== 3", "<= 3"))
    project.commit("criteria")
    approved = project.git("rev-parse", "side")
    project.git("checkout", "-q", "main")
    project.git("stash", "pop", "-q")
    home = project.root / ".orchestrator"
    leave_request(home, {"kind": "approve", "item": "TINY-001", "commit": approved, "note": ""})
    leave_request(home, {"kind": "prioritise", "item": "TINY-001", "level": "Critical", "note": ""})
    project.write("user_input.md", "Write a number.\n")
    expected = undisturbed(project)
    struck = strike(project, "kill", "core")
    assert any("before the line item.approved" in place for place in struck)
    assert any("half of the line user.input" in place for place in struck)
    assert left_behind(project) == expected
    text = (home / "journal.jsonl").read_text()
    assert [text.count(f'"kind":"{kind}"') for kind in ("override", "user.input", "item.approved")] == [2, 1, 1]
    assert len(project.git("log", "--format=%(trailers:key=Approved,valueonly)", "main..loop/run-1").split()) == 1
    assert "<= 3" in project.git("show", f"loop/run-1:{plan}")
    (kept,) = (home / "user_input").iterdir()
    assert kept.read_text() == "Write a number.\n"


AROUND_A_COMMIT = r"line turn|worktree add -q --force -b|A1\.log|update-ref -m|keep: .*read-tree -u"

ON_A_DISK_OF_ITS_OWN = """
cp -a disk kept && mount -t tmpfs -o size=24m tmpfs disk && cp -a kept/. disk || exit 1
"$@"; code=$?
rm -r kept && cp -a disk kept && exit $code
"""


def strike_on_a_disk_of_its_own(project: Project, how: str, places: str) -> dict[str, str]:
    """As `strike`, on a small file system that is mounted where nobody else sees it."""
    unshare = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-rm")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).returncode
    ):
        pytest.skip("a file system can be mounted here neither by root nor in a user namespace")
    struck = strike(project, how, places, (*unshare, "sh", "-c", ON_A_DISK_OF_ITS_OWN, "sh"))
    disk = project.root.parent
    shutil.rmtree(disk)
    (disk.parent / "kept").rename(disk)
    return struck


@pytest.mark.parametrize(
    ("how", "places", "said"),
    [
        ("full", AROUND_A_COMMIT, "No space left on device.*; free some space, then start again"),
        pytest.param("full", "core", "No space left on device.*; free some space", marks=pytest.mark.slow),
        pytest.param("files", "core", "Too many open files.*; raise the limit", marks=pytest.mark.slow),
    ],
)
def test_a_machine_that_refuses_ends_the_loop_with_the_cure_and_nothing_is_lost(
    make_tiny: Make, how: str, places: str, said: str
) -> None:
    project = make_tiny("B")
    expected = undisturbed(project)
    struck = strike_on_a_disk_of_its_own(project, how, places)
    assert left_behind(project) == expected
    for place, ending in struck.items():
        fitted = "line run.ended" in place and ending.startswith("0:")  # a block of the disk had room for one more line
        assert fitted or re.match(f"1: orchestrator: .*{said}", ending), (place, ending)
        assert fitted or how == "files" or str(project.root) in ending, (place, ending)
