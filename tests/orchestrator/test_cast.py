"""The scripted cast plays the table of docs/cast.md: iterations, exit codes, and what the loop says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.agents.scripted import Character

from .conftest import HARNESS, Project

Make = Callable[[str], Project]

ITEM = "MEAN-FIX-001"
ROW = re.compile(r"\| `([a-z-]+)` \| .* \| (\d+) \| (\d+) \| (.*) \|")
TABLE = {row[1]: row for row in map(ROW.fullmatch, (HARNESS / "docs/cast.md").read_text().splitlines()) if row}
QUICK = {"forker"}


def test_every_character_has_its_row_in_the_table() -> None:
    assert set(TABLE) == {character.value for character in Character}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in TABLE]
)
def test_what_becomes_of_a_character_is_what_the_table_says(make_project: Make, name: str) -> None:
    project = make_project("good")
    project.write("calc.py", "# mine, uncommitted\n")
    before = project.git("rev-parse", "HEAD")
    done = project.loop("--agent", name, "--focus", ITEM, "--iterations", "7", "--silence-minutes", "0.02")
    iterations, code, says = TABLE[name].groups()[1:]
    assert (done.focus(ITEM)["iterations"], done.code) == (int(iterations), int(code)), done.said
    assert says in done.said
    assert done.focus(ITEM)["verified"] == (["A1"] if code == "0" else [])
    assert (project.git("rev-parse", "HEAD"), (project.root / "calc.py").read_text()) == (
        before,
        "# mine, uncommitted\n",
    )
    assert left_running(project) == []


def left_running(project: Project) -> list[str]:
    """Command lines of the processes that work in the project's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(project.root):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def test_a_character_plays_where_nothing_was_written_for_it_and_rows_only_run(make_project: Make) -> None:
    project = make_project("good")
    ledger = (project.root / "docs/fix_plan.md").read_text()
    project.write("docs/fix_plan.md", ledger.replace("Depends on: MEAN-FIX-001", "Depends on: None"))
    project.commit()
    done = project.loop("--agent", "metric-forger", "--focus", "MEAN-REPORT-001", "--iterations", "1")
    assert done.focus("MEAN-REPORT-001")["verified"] == []
    assert "does not hold: report.json:mean == 3 (found 0)" in done.said
    assert "report.json: was put back (evidence" in done.said
