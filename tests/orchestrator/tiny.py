"""A project of one item whose agents need milliseconds, and everything that a run of it leaves."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from .conftest import Project

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


def make(tmp_path: Path, letters: str) -> Project:
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
