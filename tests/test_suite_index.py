"""The index of the test files is up to date, and a file that says nothing about itself is named."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def index(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / "test_index.py"), *arguments], capture_output=True, text=True, timeout=60
    )


def test_the_index_is_up_to_date() -> None:
    done = index("--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_that_is_new_makes_the_index_old(tmp_path: Path) -> None:
    (tmp_path / "tests" / "deep").mkdir(parents=True)
    (tmp_path / "tests" / "test_one.py").write_text('"""One | thing.\n\nMore.\n"""\n')
    (tmp_path / "tests" / "deep" / "test_two.py").write_text('"""Another."""\n')
    root = ("--root", str(tmp_path))
    assert index("--check", *root).returncode == 1
    assert index(*root).returncode == 0
    text = (tmp_path / "docs" / "development" / "TEST_SUITE_INDEX.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("| `")] == [
        "| `test_one.py` | One \\| thing. |",
        "| `test_two.py` | Another. |",
    ]
    assert index("--check", *root).returncode == 0
    (tmp_path / "tests" / "test_one.py").write_text("import os\n")
    done = index("--check", *root)
    assert done.returncode == 1
    assert "tests/test_one.py:1: expected a docstring" in done.stderr
