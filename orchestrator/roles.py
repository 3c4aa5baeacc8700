"""Supervisor, engineer and reviewer as data: all run through the same steps, and differ in what stands here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.facts import PathClass, Role
from orchestrator.layout import ARCHIVES, HANDOFF, LEDGER, MEMORY

__all__ = ["ENGINEER", "REVIEW", "REVIEWER", "REVIEW_FILE", "SELECTION", "SUPERVISOR", "Leaving", "RoleSpec"]

SELECTION = "FOCUS_SELECTION"  # stands for a focus in a supervisor's turn that hands nothing over
REVIEW = "REVIEW"  # stands for a focus in a reviewer's turn
REVIEW_FILE = "agent/review.md"  # in the turn's hub


class Leaving(StrEnum):
    """What a turn ends in: a handoff, evidence, or a review in the `agent/` folder of its hub."""

    HANDOFF = "handoff"
    EVIDENCE = "evidence"
    REVIEW = "review"


@dataclass(frozen=True)
class RoleSpec:
    """One role.

    Attributes
    ----------
    role : Role
        The name in files and trailers.
    prompt : str
        Template in `prompts/`.
    fenced_files : tuple of str
        Documents the role does not write.
    fenced_kinds : tuple of PathClass
        Classes of paths the role does not write.
    leaves : Leaving
        What the turn ends in.
    """

    role: Role
    prompt: str
    fenced_files: tuple[str, ...]
    fenced_kinds: tuple[PathClass, ...]
    leaves: Leaving

    @property
    def writes_handoff(self) -> bool:
        """Whether the turn ends in a handoff."""
        return self.leaves is Leaving.HANDOFF

    @property
    def is_measured(self) -> bool:
        """Whether the turn ends in evidence."""
        return self.leaves is Leaving.EVIDENCE


SUPERVISOR = RoleSpec(
    role=Role.SUPERVISOR,
    prompt="supervisor.md",
    fenced_files=tuple(ARCHIVES.values()),
    fenced_kinds=(PathClass.PRODUCTION, PathClass.TESTS, PathClass.LOCK, PathClass.EVIDENCE),
    leaves=Leaving.HANDOFF,
)
ENGINEER = RoleSpec(
    role=Role.ENGINEER,
    prompt="engineer.md",
    fenced_files=(HANDOFF, MEMORY, LEDGER, *ARCHIVES.values()),
    fenced_kinds=(PathClass.EVIDENCE,),
    leaves=Leaving.EVIDENCE,
)
REVIEWER = RoleSpec(
    role=Role.REVIEWER,
    prompt="reviewer.md",
    fenced_files=(),
    fenced_kinds=tuple(PathClass),
    leaves=Leaving.REVIEW,
)
