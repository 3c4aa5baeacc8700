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

import pytest

from orchestrator.inbox import leave_request

from . import tiny
from .conftest import Project
from .tiny import arguments, left_behind, undisturbed

Make = Callable[[str], Project]


@pytest.fixture
def make_tiny(tmp_path: Path) -> Make:
    return lambda letters: tiny.make(tmp_path, letters)


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


def check_every_place(project: Project, places: str) -> None:
    expected = undisturbed(project)
    assert expected["iterations"][:6] == [1, 1, 2, 2, 3, 3], "two attempts at phase A"
    struck = strike(project, "kill", places)
    assert left_behind(project) == expected
    assert {ending.partition(":")[0] for ending in struck.values()} == {"-9"}
    for line in ("turn.started", "turn.verified", "turn.committed", "turn.abandoned", "run.opened", "run.ended"):
        assert any(f"half of the line {line}" in place for place in struck), (line, struck)
    assert any(place.startswith("keep: before git clean") for place in struck)


@pytest.mark.slow
def test_a_loop_killed_around_every_ref_index_and_journal_line_ends_as_if_nothing_had_happened(make_tiny: Make) -> None:
    check_every_place(make_tiny("BC"), "core")


@pytest.mark.slow
def test_a_loop_killed_at_every_durable_operation_ends_as_if_nothing_had_happened(make_tiny: Make) -> None:
    check_every_place(make_tiny("BCDEFG"), "all")


@pytest.mark.slow
def test_a_review_killed_anywhere_is_made_once(make_tiny: Make) -> None:
    project = make_tiny("B")
    project.write("orchestration.yaml", "review_every: 1\n")
    expected = undisturbed(project)
    assert expected["turns"].count("reviewer: REVIEW, review") == 2
    struck = strike(project, "kill", r"^reviewer: .*(line|git|start of)|^keep: .*line")
    assert sum(place.startswith("reviewer: ") for place in struck) > 3, struck
    assert left_behind(project) == expected


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
    project.write(plan, tiny.PLAN.replace("== 3", "<= 3"))
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


AROUND_A_COMMIT = r"line turn|worktree add -q --force -b|A1\.log|update-ref --no-deref -m|keep: .*read-tree -u"

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
        pytest.param(
            "full",
            AROUND_A_COMMIT,
            "No space left on device.*; free some space, then start again",
            marks=pytest.mark.slow,
        ),
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
