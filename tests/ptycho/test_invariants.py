"""The documents of invariants and of findings name tests that exist."""

import ast
import re
from pathlib import Path

from orchestrator.records.findings import parse_findings

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
        assert_tests_exist(f"row {number}", named)


def test_every_resolved_finding_names_tests_that_exist() -> None:
    found = parse_findings((ROOT / "docs" / "findings.md").read_text(encoding="utf-8"))
    assert found.problems == ()
    assert len(found.findings) >= 8
    for finding in found.findings:
        named = re.findall(r"`([^`]+)`", finding.evidence)
        assert named or not finding.resolved, finding.id
        assert_tests_exist(finding.id, named)


def assert_tests_exist(where: str, node_ids: list[str]) -> None:
    for node_id in node_ids:
        path = ROOT / node_id.partition("::")[0]
        assert path.is_file(), f"{where}: {node_id}"
        assert node_id in collect_tests(path), f"{where}: {node_id}"
