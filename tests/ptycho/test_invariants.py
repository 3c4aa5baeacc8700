"""The document of invariants names tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def collect_tests(path: Path) -> set[str]:
    """The node ids of a file's tests, without their parameters."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
    return {
        f"{path.relative_to(ROOT).as_posix()}::{name}" for name in found if name.split("::")[-1].startswith("test_")
    }


def test_every_invariant_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")
    rows = ROW.findall(text)
    assert len(rows) == len(re.findall(r"^\| \d", text, re.MULTILINE))
    numbers = [int(number) for number, _, _ in rows]
    assert numbers == list(range(1, 23))
    for number, _, tests in rows:
        named = re.findall(r"`([^`]+)`", tests)
        assert named, f"row {number} names no test"
        for node_id in named:
            path = ROOT / node_id.partition("::")[0]
            assert path.is_file(), f"row {number}: {node_id}"
            assert node_id in collect_tests(path), f"row {number}: {node_id}"
