"""What a run holds open while it lasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.config import Config
from orchestrator.evidence.checkout import Checkout
from orchestrator.journal import Journal
from orchestrator.prompts import Prompts
from orchestrator.report.live import Live
from orchestrator.sandbox import Sandbox
from orchestrator.state import RunInfo, State, fold
from orchestrator.workspace import RunWorktree, Workspace

__all__ = ["Session"]


@dataclass(frozen=True)
class Session:
    """The open run: settings, repository, worktrees, journal, terminal.

    Attributes
    ----------
    sandbox : Sandbox
        The walls that every child gets, to be opened for what it needs.
    interrupted : callable
        True once a signal asked for an end; children are ended then.
    provided : set of str
        Needs that were met during this run of the program, so that they are not asked for again.
    announced : dict of str to str
        Status of each item as the person's `notify:` command knows it.
    """

    config: Config
    workspace: Workspace
    run: RunInfo
    worktree: RunWorktree
    checkout: Checkout
    journal: Journal
    live: Live
    prompts: Prompts
    sandbox: Sandbox
    interrupted: Callable[[], bool]
    provided: set[str] = field(default_factory=set)
    announced: dict[str, str] = field(default_factory=dict)
    _folded: list[tuple[int, State]] = field(default_factory=lambda: [(0, State())], init=False, repr=False)

    def read(self, path: str) -> str:
        """Return a document as the run's branch has it."""
        return self.worktree.text(self.worktree.head(), path)

    @property
    def start(self) -> str:
        """Commit that plans and tests are held against: where the run began, or what a person had merged in last."""
        return self.state.synced or self.run.base

    @property
    def state(self) -> State:
        """The state as the journal tells it now."""
        (known, state), events = self._folded[0], self.journal.events
        self._folded[0] = len(events), fold(events[known:], state)
        return self._folded[0][1]
