"""What the loop asks of an agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from orchestrator.facts import AgentOutcome, TurnRequest
from orchestrator.process import Limits

__all__ = ["Agent"]


class Agent(Protocol):
    """Whoever plays a role: it works in the worktree, and leaves files there."""

    @property
    def name(self) -> str:
        """How the agent is called in messages and the journal."""

    def act(self, request: TurnRequest, limits: Limits, should_stop: Callable[[], bool] | None = None) -> AgentOutcome:
        """Carry out one turn.

        Parameters
        ----------
        request
            The turn: prompt and request lie in files, the log is written to `request.log_path`.
        limits
            What the agent's process may use.
        should_stop
            Asked several times a second; when it answers True the agent is ended.

        Returns
        -------
        AgentOutcome
            How the process ended. What it claims to have done is no part of it.
        """
