"""What a clean clone shows before anything has run in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_a_clean_clone_lists_the_first_item_as_runnable(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    argv = [sys.executable, "-m", "orchestrator", "status", "--json"]
    done = subprocess.run(argv, cwd=clone, capture_output=True, text=True, check=True)
    status = json.loads(done.stdout)
    assert status["items"][0]["id"] == "RECON-SIEMENS-STAR-001"
    assert status["items"][0]["runnable"]
    assert status["run"] is None
    assert {item["status"] for item in status["items"]} == {"pending", "blocked"}
    assert subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, check=True).stdout == b""


def test_memory_and_handoff_ship_with_their_heading_only() -> None:
    for name in ("galph_memory.md", "input.md"):
        assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) == 1, name
