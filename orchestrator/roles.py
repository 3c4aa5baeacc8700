"""Supervisor and engineer as data: both run through the same steps, and differ only in what stands here."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.facts import PathClass, Role
from orchestrator.layout import ARCHIVES, HANDOFF, LEDGER, MEMORY

__all__ = ["ENGINEER", "SUPERVISOR", "RoleSpec"]


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
    writes_handoff : bool
        Whether the turn ends in a handoff (else in evidence).
    """

    role: Role
    prompt: str
    fenced_files: tuple[str, ...]
    fenced_kinds: tuple[PathClass, ...]
    writes_handoff: bool


SUPERVISOR = RoleSpec(
    role=Role.SUPERVISOR,
    prompt="supervisor.md",
    fenced_files=tuple(ARCHIVES.values()),
    fenced_kinds=(PathClass.PRODUCTION, PathClass.TESTS, PathClass.EVIDENCE),
    writes_handoff=True,
)
ENGINEER = RoleSpec(
    role=Role.ENGINEER,
    prompt="engineer.md",
    fenced_files=(HANDOFF, MEMORY, LEDGER, *ARCHIVES.values()),
    fenced_kinds=(PathClass.EVIDENCE,),
    writes_handoff=False,
)
