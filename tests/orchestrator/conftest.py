"""A small repository that has nothing to do with ptychography, and a loop run on it as a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HARNESS = Path(__file__).resolve().parents[2]

LEDGER = """# Fix plan

### [MEAN-FIX-001] The mean of a list is right
- Depends on: None
- Priority: High
- Status: pending
- Kind: code
- Engineer: scripted:{character}
- Working Plan: `plans/active/MEAN-FIX-001/implementation.md`
- Exit Criteria: every row of the plan is verified
- Attempts History:

### [MEAN-REPORT-001] A report of the mean is written
- Depends on: MEAN-FIX-001
- Priority: High
- Status: pending
- Kind: study
- Working Plan: `plans/active/MEAN-REPORT-001/implementation.md`
- Attempts History:

### [MEAN-LATER-001] Something that waits for a person
- Depends on: None
- Priority: High
- Status: blocked — the formula is not decided
- Return Condition: a person says which mean is wanted
"""

FIX_PLAN = """# MEAN-FIX-001

## Phase A — the mean is right
- Goal: mean([1, 2, 6]) is 3
- [ ] A1: the acceptance tests pass
  - Implement: `calc.py::mean — divide by the length`
  - Test: `pytest plans/active/MEAN-FIX-001/acceptance/test_mean.py`
"""

REPORT_PLAN = """# MEAN-REPORT-001

## Phase A — write it
- [ ] A1: the report is written
  - Run: `python report.py {hub}`
  - Expect: `report.json:mean == 3`

## Phase B — read it again
- [ ] B1: what was written can be read
  - Run: `python reread.py {artifacts}/A1 {hub}`
  - Needs: A1
  - Expect: `copy.json:mean >= 2.5`
"""

ACCEPTANCE = """from calc import mean


def test_the_mean_of_three_numbers():
    assert mean([1, 2, 6]) == 3


def test_the_mean_of_one_number():
    assert mean([4]) == 4
"""

FILES = {
    "calc.py": "def mean(values):\n    return 0\n",
    "report.py": (
        "import json, sys\nfrom calc import mean\n"
        "open(sys.argv[1] + '/report.json', 'w').write(json.dumps({'mean': mean([1, 2, 6])}))\n"
    ),
    "reread.py": (
        "import json, sys\nfound = json.load(open(sys.argv[1] + '/report.json'))\n"
        "open(sys.argv[2] + '/copy.json', 'w').write(json.dumps(found))\n"
    ),
    "docs/fix_plan.md": LEDGER,
    "galph_memory.md": "# Memory of the supervisor\n",
    "input.md": "# Handoff\n",
    "plans/active/MEAN-FIX-001/implementation.md": FIX_PLAN,
    "plans/active/MEAN-FIX-001/acceptance/test_mean.py": ACCEPTANCE,
    "plans/active/MEAN-FIX-001/script/right/calc.py": "def mean(values):\n    return sum(values) / len(values)\n",
    "plans/active/MEAN-FIX-001/script/wrong/calc.py": "def mean(values):\n    return sorted(values)[-1] // 2\n",
    "plans/active/MEAN-REPORT-001/implementation.md": REPORT_PLAN,
    ".gitignore": "*.log\n*.xml\n",
}


@dataclass(frozen=True)
class Finished:
    """A loop that ended: its code, its data and what it said."""

    code: int
    summary: dict[str, Any]
    said: str

    def focus(self, item_id: str) -> dict[str, Any]:
        return next(focus for focus in self.summary["focuses"] if focus["id"] == item_id)


@dataclass(frozen=True)
class Project:
    """A repository in a temporary folder."""

    root: Path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def commit(self, message: str = "change") -> None:
        self.git("add", "-A")
        self.git("-c", "user.name=u", "-c", "user.email=u@localhost", "commit", "-qm", message)

    @property
    def environment(self) -> dict[str, str]:
        """What a command of the harness sees; pytest below it starts without plugins it does not need.

        Agents may leave signs for a test beside the project, as if a person had added that folder.
        """
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root.parent),
            "PYTHONPATH": str(HARNESS),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "ORCHESTRATOR_PASS_ENV": "PYTEST_DISABLE_PLUGIN_AUTOLOAD",
            "ORCHESTRATOR_SANDBOX_WRITE": str(self.root.parent),
        }

    def command(self, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-P", "-m", *arguments]
        return subprocess.run(argv, cwd=self.root, env=self.environment, capture_output=True, text=True, **settings)

    def loop(self, *arguments: str) -> Finished:
        done = self.command("orchestrator.loop", "--json", *arguments, timeout=120)
        summary = json.loads(done.stdout) if done.stdout.strip() else {}
        return Finished(done.returncode, summary, done.stderr)

    @property
    def work(self) -> Path:
        return self.root / ".orchestrator" / "current"


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[[str], Project]:
    def make(character: str = "good") -> Project:
        project = Project(tmp_path / "a project with spaces")
        project.root.mkdir()
        project.git("init", "-q", "-b", "main")
        for path, text in FILES.items():
            project.write(path, text.replace("{character}", character))
        project.commit("start")
        return project

    return make


ACTOR = '''"""An agent program of a test: plays both roles honestly, except for what the test puts into it."""
import json, os, pathlib, subprocess, sys
sys.path.insert(0, {harness!r})
from orchestrator.agents.plan import carry_out, supervise, write_summary
request = json.loads(pathlib.Path(sys.argv[1]).read_text())
work, facts = pathlib.Path(request["worktree"]), request["facts"]
item = facts["candidates"][0]

def write(path, text):
    (work / path).parent.mkdir(parents=True, exist_ok=True)
    (work / path).write_text(text)

def swap(path, old, new):
    text = (work / path).read_text()
    assert old in text, (path, old)
    (work / path).write_text(text.replace(old, new))

def say(*sentences):
    write_summary(work, item["id"], sentences)

def right():
    write("calc.py", "def mean(values):\\n    return sum(values) / len(values)\\n")

def galph():
    supervise(facts, work)

def ralph():
    right() if item["implement"] else None
    say("Did what the handoff asks.")

{body}
(galph if request["role"] == "galph" else ralph)()
'''


@pytest.fixture
def make_actor(tmp_path: Path) -> Callable[[str], str]:
    """Command line of an agent whose behaviour the given code changes."""

    def make(body: str) -> str:
        script = tmp_path / "actor.py"
        script.write_text(ACTOR.replace("{harness!r}", repr(str(HARNESS))).replace("{body}", body))
        return f"{sys.executable} {script} {{request_file}}"

    return make
