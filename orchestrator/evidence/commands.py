"""Commands of rows and needs: argument lists, never a shell; and what a `Test:` selects."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence

from orchestrator.errors import EvidenceError
from orchestrator.records.handoff import OPTIONS_WITH_VALUE

__all__ = ["plain_words", "resolve_command", "selected_paths", "split_test", "words_of"]

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)


def resolve_command(words: Sequence[str], folders: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Argument list and environment of a command: assignments split off, folders filled in, our interpreter used."""
    filled = []
    for word in words:
        for name, folder in folders.items():
            word = word.replace("{" + name + "}", folder)  # noqa: PLW2901 -- braces of other kinds stay as they are
        filled.append(word)
    environment = {}
    while filled and _ASSIGNMENT.fullmatch(filled[0]):
        name, _, value = filled.pop(0).partition("=")
        environment[name] = value
    if filled and filled[0] in {"python", "python3"}:
        filled[0] = sys.executable
    elif filled and filled[0] == "pytest":
        filled[:1] = [sys.executable, "-m", "pytest"]
    return filled, environment


def words_of(text: str) -> list[str]:
    """Return the words of a command, split as a shell would but never given to one.

    Raises
    ------
    EvidenceError
        The quotes do not match.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise EvidenceError(f"command {text!r} cannot be split into words: {error}") from error


def plain_words(text: str) -> tuple[str, ...]:
    """Return the words of a command without what starts pytest, to compare it with another."""
    try:
        words = shlex.split(text)
    except ValueError:
        return (text,)
    words = words[2:] if words[:2] in (["python", "-m"], ["python3", "-m"]) else words
    return tuple(words[1:] if words[:1] == ["pytest"] else words)


def split_test(test: str) -> tuple[list[str], list[str]]:
    """Return options and selectors of a `Test:`, with or without the word pytest and assignments in front."""
    words, _ = resolve_command(words_of(test), {})
    words = words[3:] if words[1:3] == ["-m", "pytest"] else words
    options: list[str] = []
    selectors: list[str] = []
    for word in words:
        is_value = bool(options) and options[-1] in OPTIONS_WITH_VALUE
        (options if word.startswith("-") or is_value else selectors).append(word)
    return options, selectors


def selected_paths(test: str) -> tuple[str, ...]:
    """Return the files and folders that a `Test:` selects from."""
    return tuple(selector.split("::")[0].rstrip("/") for selector in split_test(test)[1])
