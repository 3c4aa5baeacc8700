"""Signatures of failures: the same fault is known again, whatever numbers and paths it shows; pure."""

from __future__ import annotations

import re

__all__ = ["is_announced", "masked"]

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


def is_announced(cause: str, announced: str) -> bool:
    """Whether a failure is the one a handoff announced: the same exception, and a message that holds the text given."""
    (kind, _, message), (wanted, _, part) = cause.partition(":"), announced.partition(":")
    return bool(announced) and kind.rpartition(".")[2] == wanted.strip() and masked(part).strip() in masked(message)
