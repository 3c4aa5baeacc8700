"""What a rule is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Rule", "Severity"]


class Severity(StrEnum):
    """What a breach leads to, from the hardest to nothing at all."""

    REFUSE = "refuse"  # the handoff is sent back, the turn or the run is not accepted
    RESTORE = "restore"  # the change is put back and kept as a patch
    BLOCK = "block"  # the item is taken out of the loop's reach
    DISCOUNT = "discount"  # it does not count as progress, or as evidence
    REPORT = "report"  # it is told and nothing else
    OFF = "off"  # it is not looked at


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes
    ----------
    id : str
        Its name in messages, settings and documents.
    severity : Severity
        How it is held unless `orchestration.yaml` says otherwise.
    demands : str
        What must hold, as a sentence.
    cure : str
        What to do about a breach; every message ends in it.
    seen : str
        What happened without the rule.
    fixed : bool
        Whether it cannot be lowered: evidence would prove nothing without it.
    """

    id: str
    severity: Severity
    demands: str
    cure: str
    seen: str
    fixed: bool = False
