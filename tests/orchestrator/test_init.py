"""`init` in repositories that have nothing to do with ptychography, through to a merged result."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from orchestrator.config import FILE_NAME, SETTINGS, resolve_config
from orchestrator.errors import ConfigError
from orchestrator.journal import read_journal
from orchestrator.records.ledger import parse_ledger
from orchestrator.records.plan import parse_plan
from orchestrator.scaffold import PLAN, first_row, make_files, settings_text

from .conftest import HARNESS, Project

ROMAN = """VALUES = {1000: "M", 500: "D", 100: "C", 50: "L", 10: "X", 5: "V", 1: "I"}


def roman(number):
    text = ""
    for value, letter in VALUES.items():
        text += letter * (number // value)
        number %= value
    return text
"""
TEST_ROMAN = """from roman import roman


def test_a_year():
    assert roman(2026) == "MMXXVI"


def test_four():
    assert roman(4) == "IV"
"""
ITEM = """
### [ROMAN-FOUR-001] Four and nine are written by subtraction
- Depends on: None
- Priority: Critical
- Status: pending
- Kind: code
- Working Plan: `plans/active/ROMAN-FOUR-001/implementation.md`
"""
ITEM_PLAN = """# ROMAN-FOUR-001

## Phase A — subtraction
- Goal: IV, IX, XL, XC, CD and CM
- [ ] A1: the test of four passes
  - Implement: `roman.py::roman — subtractive pairs`
  - Test: `pytest tests/test_roman.py`
"""
PERSON_WITH_AN_AGENT = """
def right():
    swap("roman.py", '1000: "M", 500: "D"', '1000: "M", 900: "CM", 500: "D", 400: "CD"')
    swap("roman.py", '10: "X", 5: "V", 1', '10: "X", 9: "IX", 5: "V", 4: "IV", 1')
"""
MADE = [FILE_NAME, "docs/fix_plan.md", PLAN, "docs/findings.md", "galph_memory.md", "input.md"]


@pytest.fixture
def repository(tmp_path: Path) -> Callable[..., Project]:
    def make(**files: str) -> Project:
        project = Project(tmp_path / "somebody's library – ü")
        project.root.mkdir()
        project.git("init", "-q", "-b", "main")
        project.git("config", "user.name", "A Person")
        project.git("config", "user.email", "person@example.org")
        for path, text in files.items():
            project.write(path, text)
        project.commit("start")
        return project

    return make


def init(project: Project, *arguments: str, code: int = 0) -> dict[str, list[str]]:
    done = project.command("orchestrator", "init", ".", "--json", *arguments)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else {"said": [done.stderr]}


def commit_as_told(project: Project, result: dict[str, list[str]]) -> None:
    add, commit, _ = result["next"]
    assert (add.startswith("git add "), commit.startswith("git commit ")) == (True, True)
    subprocess.run(["bash", "-ec", f"{add}\n{commit}"], cwd=project.root, check=True, capture_output=True)


@pytest.mark.slow
def test_a_library_is_taken_from_init_to_a_merged_result(
    repository: Callable[..., Project], make_actor: Callable[[str], str]
) -> None:
    project = repository(**{"roman.py": ROMAN, "tests/test_roman.py": TEST_ROMAN})
    result = init(project)
    assert result["made"] == MADE
    ledger = project.root / "docs/fix_plan.md"
    ledger.write_text(ledger.read_text() + ITEM)
    project.write("plans/active/ROMAN-FOUR-001/implementation.md", ITEM_PLAN)
    project.git("add", "plans")
    commit_as_told(project, result)
    project.commit("an item of my own")

    finished = project.loop("--agent-command", make_actor(PERSON_WITH_AN_AGENT))
    assert finished.code == 0, finished.said
    assert [(f["id"], f["status"]) for f in finished.summary["focuses"]] == [
        ("FIRST-CHECK-001", "done"),
        ("ROMAN-FOUR-001", "done"),
    ]

    project.git("merge", "-q", "loop/run-1")
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(tests, cwd=project.root, env=project.environment, capture_output=True, text=True)
    assert "2 passed" in done.stdout, done.stdout
    assert "- Status: done" in ledger.read_text()


def test_init_creates_and_changes_nothing_that_is_there(repository: Callable[..., Project]) -> None:
    project = repository(**{"docs/findings.md": "# Ours\n", "input.md": "for something else\n", "Makefile": "all:\n"})
    project.write("Makefile", "all:\n\ttrue\n")
    project.git("add", "Makefile")
    project.write("unsaved.txt", "mine\n")
    result = init(project, "--check", "make all")
    assert result["left"] == ["docs/findings.md", "input.md"]
    assert (project.root / "docs/findings.md").read_text() == "# Ours\n"
    commit_as_told(project, result)
    status = project.git("status", "--porcelain").splitlines()
    assert status == ["M  Makefile", "?? unsaved.txt"]
    assert project.git("show", "--name-only", "--format=", "HEAD").splitlines() == sorted(result["made"])
    again = init(project, "--check", "make all")
    assert (again["made"], again["next"]) == ([], ["python -m orchestrator.loop"])


def test_a_dry_run_changes_nothing(repository: Callable[..., Project]) -> None:
    project = repository(**{"a.txt": "a\n"})
    assert init(project, "--dry-run")["made"] == MADE
    assert project.git("status", "--porcelain") == ""


def test_from_a_folder_below_the_workspace_is_the_whole_repository(repository: Callable[..., Project]) -> None:
    project = repository(**{"src/deep/main.c": "int main() { return 0; }\n"})
    done = project.command("orchestrator", "init", "src/deep")
    assert done.returncode == 0, done.stderr
    assert (project.root / "docs/fix_plan.md").is_file()
    assert f"write a command into {PLAN}" in done.stdout


def test_a_repository_without_python_is_checked_by_the_command_given(repository: Callable[..., Project]) -> None:
    project = repository(**{"main.c": "int main() { return 0; }\n", ".gitignore": "docs/\n"})
    result = init(project, "--check", "grep -c 'return 0' main.c")
    assert result["notes"] == ["the first item runs: grep -c 'return 0' main.c"]
    commit_as_told(project, result)
    finished = project.loop()
    assert (finished.code, finished.focus("FIRST-CHECK-001")["status"]) == (0, "done"), finished.said


def test_without_tests_or_a_check_the_first_item_says_what_is_missing(repository: Callable[..., Project]) -> None:
    project = repository(README="a poem\n")
    result = init(project)
    assert PLAN in result["notes"][0]
    commit_as_told(project, result)
    status = json.loads(project.command("orchestrator", "status", "--json").stdout)
    assert status["runnable"] == []
    assert "no row with a `Run:` or `Test:`" in status["items"][0]["obstacle"]


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("docs/fix_plan.md", "# TODO\n1. everything\n", "git mv docs/fix_plan.md docs/fix_plan_before.md"),
        ("docs/fix_plan.md", "### [A-1] One\n- Status: donee\n", "docs/fix_plan.md:1: expected"),
        ("docs", "a file\n", "docs: expected a folder"),
    ],
)
def test_what_stands_in_the_way_is_named_with_its_cure(
    repository: Callable[..., Project], path: str, text: str, said: str
) -> None:
    project = repository(**{path: text})
    assert said in init(project, code=1)["said"][0]
    assert project.git("status", "--porcelain") == ""


def test_a_link_to_another_place_is_not_followed(repository: Callable[..., Project], tmp_path: Path) -> None:
    project = repository(a="a\n")
    (tmp_path / "elsewhere").mkdir()
    (project.root / "docs").symlink_to(tmp_path / "elsewhere")
    assert "docs: expected a folder" in init(project, code=1)["said"][0]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_is_no_repository_or_has_no_commit_is_told_the_cure(tmp_path: Path) -> None:
    project = Project(tmp_path / "empty")
    project.root.mkdir()
    assert "run `git init` there" in init(project, code=1)["said"][0]
    project.git("init", "-q")
    assert "git commit --allow-empty" in init(project, code=1)["said"][0]


def test_every_setting_stands_in_the_file_with_its_default(tmp_path: Path) -> None:
    text = settings_text()
    (tmp_path / FILE_NAME).write_text(text)
    assert set(resolve_config(tmp_path, {}).origins.values()) == {"default"}
    (tmp_path / FILE_NAME).write_text(re.sub(r"^#(?=\w)", "", text, flags=re.MULTILINE))
    config = resolve_config(tmp_path, {})
    for setting in SETTINGS:
        assert f"\n# {setting.purpose}" in text
        assert getattr(config, setting.key) == setting.default, setting.key


@pytest.mark.parametrize("check", ["", "make test", "sh -c 'echo $A {b}'"])
@pytest.mark.parametrize("paths", [[], ["tests/a b/test_x.py"], [f"t{n % 3}/test_{n}.py" for n in range(20)]])
def test_what_is_made_reads_without_a_problem(check: str, paths: list[str]) -> None:
    files = make_files(first_row(paths, check))
    assert parse_ledger(files["docs/fix_plan.md"]).problems == ()
    plan = parse_plan(files[PLAN])
    assert plan.problems == ()
    assert plan.rows[0].run == (check or None)
    if len(paths) > 8 and not check:
        assert plan.rows[0].test == "pytest t0 t1 t2"


@pytest.mark.parametrize("check", ["a\nb", "echo `date`", "echo 'open", "  ", "make | tee log", "make {hubb}"])
def test_a_check_that_no_row_can_hold_is_refused(check: str) -> None:
    with pytest.raises(ConfigError, match="--check"):
        first_row([], check)


@pytest.mark.slow
def test_a_repository_of_five_thousand_files_is_taken_as_any_other(repository: Callable[..., Project]) -> None:
    text = "int value = 1;\n" * 40
    files = {f"src/part{n % 70:02}/unit_{n}.c": text for n in range(5_000)}
    project = repository(**files)
    commit_as_told(project, init(project, "--check", "grep -c value src/part00/unit_0.c"))
    started = time.monotonic()
    finished = project.loop()
    assert (finished.code, finished.focus("FIRST-CHECK-001")["status"]) == (0, "done"), finished.said
    events = read_journal(project.root / ".orchestrator/journal.jsonl")
    ends = {event.kind: datetime.fromisoformat(event.time) for event in events if event.kind.startswith("turn.")}
    begins = [datetime.fromisoformat(event.time) for event in events if event.kind == "turn.started"]
    last = (ends["turn.committed"] - begins[-1]).total_seconds()
    sys.stdout.write(
        f"5,000 files: the loop took {time.monotonic() - started:.1f} s in all, its last turn {last:.2f} s\n"
    )


@pytest.mark.slow
@pytest.mark.network
def test_from_an_installed_wheel_a_library_is_taken_as_well(repository: Callable[..., Project], tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(HARNESS)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([*pip, "install", "-q", "--no-deps", "--target", str(tmp_path / "site"), str(wheel)], check=True)
    project = repository(**{"roman.py": ROMAN, "tests/test_roman.py": TEST_ROMAN.partition("\n\n\ndef test_four")[0]})
    environment = {**project.environment, "PYTHONPATH": str(tmp_path / "site")}

    def command(*arguments: str) -> str:
        argv = [sys.executable, "-P", *arguments]
        done = subprocess.run(argv, cwd=project.root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(tmp_path / "site") in command("-c", "import orchestrator; print(orchestrator.__file__)")
    commit_as_told(project, json.loads(command("-m", "orchestrator", "init", ".", "--json")))
    summary = json.loads(command("-m", "orchestrator.loop", "--json"))
    assert [(focus["id"], focus["status"]) for focus in summary["focuses"]] == [("FIRST-CHECK-001", "done")]


FOREIGN = """# Fix plan ledger

## [CSV-QUOTES-002] Quotes inside a field
- Status: **In Progress** (half of it)
- Priority: high
- Attempts History:
  * [2026-01-02] Attempt #1 — nothing came of it

## [CSV-EMPTY-001] Empty files
- Status: done
"""


def test_the_ledger_of_another_tool_is_moved_away_and_taken_over(repository: Callable[..., Project]) -> None:
    project = repository(**{"docs/fix_plan.md": FOREIGN, "csv.c": "int main() {}\n"})
    cure = init(project, code=1)["said"][0]
    subprocess.run(["bash", "-c", re.search(r"git mv \S+ \S+(?=, then)", cure)[0]], cwd=project.root, check=True)
    result = init(project, "--from-ledger", "docs/fix_plan_before.md")
    assert result["made"] == [path for path in MADE if path != PLAN]
    commit_as_told(project, result)
    items = {item.id: item.status.value for item in parse_ledger((project.root / "docs/fix_plan.md").read_text()).items}
    assert items == {"CSV-QUOTES-002": "in_progress", "CSV-EMPTY-001": "done"}
    assert any(note.startswith("docs/fix_plan_before.md:") for note in result["notes"])
    assert "2 items taken over from docs/fix_plan_before.md, 1 not done yet: 1 without a plan" in result["notes"][-2]
    assert "docs/fix_plan_before.md belongs into the same commit" in result["notes"][-1]
    assert project.git("status", "--porcelain") == ""
    assert project.command("orchestrator", "doctor").returncode == 0
    assert (project.root / "docs/fix_plan_before.md").read_text() == FOREIGN


@pytest.mark.parametrize(
    ("files", "source", "said"),
    [
        ({"docs/fix_plan.md": FOREIGN}, "docs/fix_plan.md", "move it away first"),
        ({"a": "a\n"}, "nowhere.md", "No such file"),
        ({"poem.md": "A rose\n"}, "poem.md", "no item was found"),
    ],
)
def test_a_ledger_that_cannot_be_taken_over_is_told_why(
    repository: Callable[..., Project], files: dict[str, str], source: str, said: str
) -> None:
    project = repository(**files)
    assert said in init(project, "--from-ledger", source, code=2)["said"][0]
    assert project.git("status", "--porcelain") == ""
