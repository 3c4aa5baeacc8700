"""What a clean clone shows before anything has run in it, and what its default plan comes to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    subprocess.run(["git", "clone", "-q", str(ROOT), str(tmp_path / "clone")], check=True)
    return tmp_path / "clone"


def loop(clone: Path, *arguments: str, **variables: str) -> tuple[int, dict[str, Any], str]:
    """Run the clone's own loop; exit code, data and what it said."""
    environment = {**os.environ, "PYTHONPATH": str(clone), **variables}
    argv = [sys.executable, "-m", "orchestrator.loop", "--json", *arguments]
    done = subprocess.run(argv, cwd=clone, env=environment, capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def test_a_clean_clone_lists_the_first_item_as_runnable(clone: Path) -> None:
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


@pytest.mark.slow
def test_the_small_item_shows_a_refused_claim_and_a_right_second_turn(clone: Path) -> None:
    code, summary, said = loop(clone, "--focus", "DOSE-FLUENCE-001")
    assert code == 0, said
    item = next(focus for focus in summary["focuses"] if focus["id"] == "DOSE-FLUENCE-001")
    assert (item["status"], item["iterations"], len(item["refused"])) == ("done", 2, 1)
    assert "claimed 'All mapped tests pass'" in said


@pytest.mark.slow
def test_without_network_the_star_waits_and_the_rest_of_the_plan_comes_to_its_end(clone: Path, tmp_path: Path) -> None:
    code, summary, said = loop(clone, PIP_NO_INDEX="1", PTYCHO_CACHE=str(tmp_path / "cache"))
    assert code == 0, said
    status = {focus["id"]: focus["status"] for focus in summary["focuses"]}
    assert status == {
        "RECON-SIEMENS-STAR-001": "waiting",
        "DOSE-FLUENCE-001": "done",
        "RECON-SIMULATED-001": "done",
        "RECON-STAR-CONTROLS-001": "pending",
        "RECON-POSITION-ERROR-001": "blocked",
        "NET-SIEMENS-STAR-001": "pending",
    }


@pytest.mark.slow
@pytest.mark.network
def test_the_star_is_reconstructed_from_the_real_scan_and_proved(clone: Path) -> None:
    code, summary, said = loop(clone, "--focus", "RECON-SIEMENS-STAR-001")
    assert code == 0, said
    star = summary["focuses"][0]
    assert star["status"] == "done"
    assert any(path.endswith("object.png") for path in star["pictures"])
