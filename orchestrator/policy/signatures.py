"""Signatures of failures: the same fault is known again, whatever numbers and paths it shows; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.facts import Facts, Role, TurnRecord

__all__ = ["is_announced", "masked", "repeated", "signatures_of"]

_LONGEST = 300
_MASKS = (
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<address>"),
    (re.compile(r"(?<![\w.])(?:[A-Za-z]:)?(?:[\\/][\w.@+~%-]+){2,}[\\/]?"), "<path>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b"), "<hex>"),
    (re.compile(r"(?<![A-Za-z_<])[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?"), "<number>"),
)


def masked(cause: str) -> str:
    """Return exception and message without numbers, addresses, hashes and paths, on one line."""
    text = " ".join(cause.split())
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text[:_LONGEST]


def signatures_of(facts: Facts) -> tuple[str, ...]:
    """Return ``test: exception: message`` of everything that failed in a turn and is not the machine's fault."""
    found = [
        f"{node}: {masked(run.causes.get(node, ''))}"
        for run in facts.runs
        for node in run.failing
        if not run.excused.get(node, "").startswith("environment")
    ]
    return tuple(dict.fromkeys(found))


def repeated(turns: Sequence[TurnRecord]) -> dict[str, int]:
    """Return what failed alike in an item's last two engineer turns or more, with their number.

    Nothing is repeated while the failing tests become fewer: the last of these turns was no progress.
    """
    worked = [turn for turn in turns if turn.role is Role.ENGINEER]
    if not worked or worked[-1].progress:
        return {}
    found = {}
    for signature in worked[-1].failures:
        others = (number for number, turn in enumerate(reversed(worked)) if signature not in turn.failures)
        times = next(others, len(worked))
        if times > 1:
            found[signature] = times
    return found


def is_announced(cause: str, announced: str) -> bool:
    """Whether a failure is the one a handoff announced: the same exception, and a message that holds the text given."""
    (kind, _, message), (wanted, _, part) = cause.partition(":"), announced.partition(":")
    return bool(announced) and kind.rpartition(".")[2] == wanted.strip() and masked(part).strip() in masked(message)
