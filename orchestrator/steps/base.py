"""The turn under way: what each step adds to it, and how a turn fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.agenda import Agenda
from orchestrator.config import child_environment
from orchestrator.evidence.checkout import first_party
from orchestrator.evidence.testing import TestBench
from orchestrator.facts import Facts, Frozen, TurnRecord, TurnRequest
from orchestrator.layout import hub_path
from orchestrator.policy.fences import matches
from orchestrator.records.handoff import Handoff
from orchestrator.records.ledger import Item
from orchestrator.records.memory import MemoryEntry
from orchestrator.roles import RoleSpec
from orchestrator.session import Session
from orchestrator.state import State, record_to_data

__all__ = ["Turn", "TurnFailed"]


class TurnFailed(Exception):
    """The turn ends here and leaves nothing but a patch; `reasons` say why.

    `interrupted` is set when a person ended it, so that nobody is charged; `agent` is what its process cost, where
    that is what failed.
    """

    def __init__(self, *reasons: str, interrupted: bool = False, agent: Mapping[str, object] | None = None) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons
        self.interrupted = interrupted
        self.agent = agent


@dataclass(frozen=True)
class Turn:
    """A turn under way. Every step returns a copy with its own fields filled in.

    The first block is known from the start, but for a supervisor's focus; a turn without one has in `stands_for` what
    it is for instead. `request` comes from *brief*, `agent` (who acted, and what it cost) from *act*, `own` (commits
    the agent made), `tree` and `entry` from *collect* and *check*, `facts` and `seconds` (what measuring them took)
    from *verify*, the rest from *judge* and *commit*.
    """

    session: Session
    role: RoleSpec
    state: State
    agenda: Agenda
    stamp: datetime
    base: str
    refusals: tuple[str, ...] = ()
    focus: Item | None = None
    handoff: Handoff | None = None
    stands_for: str = ""

    request: TurnRequest | None = None
    agent: Mapping[str, object] | None = None

    own: tuple[str, ...] = ()
    tree: str = ""
    entry: MemoryEntry | None = None
    facts: Facts = field(default_factory=lambda: Facts(tree=""))
    seconds: float = 0.0

    record: TurnRecord | None = None
    frozen: Frozen | None = None
    status: str = ""
    note: str = ""

    @property
    def number(self) -> int:
        """Turns started in this run, this one included."""
        return self.state.started

    @property
    def id(self) -> str:
        """Name of the turn, unique in the repository."""
        return f"{self.session.run.name}/{self.number:04d}-{self.role.role.value}"

    @property
    def folder(self) -> Path:
        """The harness's own folder for the turn: prompt, request, log, staging."""
        return self.session.workspace.home / "turns" / self.id

    @property
    def stage(self) -> Path:
        """Where evidence is collected before it goes to the hub."""
        return self.folder / "hub"

    @property
    def bench(self) -> TestBench:
        """The kept checkout, a child's environment, and the names that must come from there, for the turn's tree."""
        session = self.session
        return TestBench(
            checkout=session.checkout,
            environment=child_environment(session.config, session.checkout.root),
            packages=first_party(session.worktree.git, self.tree),
            scratch=self.folder / "scratch",
            forbidden=session.worktree.root.parent,
            seconds=session.config.verify_minutes * 60,
            should_stop=session.interrupted,
            sandbox=session.sandbox.opened(write=[session.checkout.root]),
            rulebook=session.config.rulebook,
            setup=session.config.verify_setup,
            is_test=lambda path: any(matches(path, pattern) for pattern in session.config.tests),
        )

    @property
    def judged(self) -> TurnRecord:
        """The turn's record; only asked for once it was judged."""
        if self.record is None:
            raise AssertionError("a turn has a record once it was judged")
        return self.record

    @property
    def item(self) -> Item:
        """The focus; only asked for once it is known."""
        if self.focus is None:
            raise AssertionError("the focus is known once the handoff was checked")
        return self.focus

    @property
    def subject(self) -> str:
        """The focus's id, or what the turn is for without one; empty while neither is known."""
        return self.focus.id if self.focus else self.stands_for

    @property
    def hub(self) -> str:
        """Repository path of the iteration's hub; empty while it is not known what the turn is for."""
        return hub_path(self.subject, self.stamp) if self.subject else ""

    @property
    def stamp_text(self) -> str:
        """The iteration's stamp as the documents write it."""
        return self.stamp.strftime("%Y-%m-%dT%H:%M:%SZ")

    def text(self, path: str) -> str:
        """Return a document as tree T has it; never what lies in the worktree by now."""
        return self.session.worktree.text(self.tree or self.base, path)

    def base_text(self, path: str) -> str:
        """Return a document as the turn's base has it."""
        return self.session.worktree.text(self.base, path)

    def payload(self) -> dict[str, Any]:
        """Return what the journal keeps of the turn's outcome."""
        return {
            "turn": self.id,
            "record": record_to_data(self.judged),
            "status": self.status,
            "note": self.note,
            "frozen": asdict(self.frozen) if self.frozen else None,
            "agent": self.agent,
            "seconds": self.seconds,
        }
