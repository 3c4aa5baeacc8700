"""The test bench of a turn: the kept checkout, a child's environment, the names that must come from it."""

from __future__ import annotations

from orchestrator.config import child_environment
from orchestrator.evidence.checkout import first_party
from orchestrator.evidence.testing import TestBench
from orchestrator.steps.base import Turn

__all__ = ["make_bench"]


def make_bench(turn: Turn) -> TestBench:
    """Bench for the turn's tree."""
    session = turn.session
    return TestBench(
        checkout=session.checkout,
        environment=child_environment(session.config, session.checkout.root),
        packages=first_party(session.worktree.git, turn.tree),
        scratch=turn.folder / "scratch",
        forbidden=session.worktree.root.parent,
        seconds=session.config.verify_minutes * 60,
        should_stop=session.interrupted,
    )
