"""The summary of an item, `summary.md`: what each turn did, newest first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from orchestrator.records.stamps import parse_stamp
from orchestrator.records.text import (
    Problem,
    ProblemList,
    check_same,
    find_blocks,
    on_one_line,
    shown,
    split_lines,
    with_block,
)

__all__ = ["Summary", "TurnSummary", "parse_summary", "render_turn", "with_turn"]

_HEADING = re.compile(r"### Turn Summary(?: — (?P<stamp>\S+))?")
_OWNED = re.compile(r"(?P<key>Measured|Artifacts):[ \t]*(?P<value>.*)")
_LOST = re.compile(r".*Turn Summary.*|#+")
_FEWEST, _MOST = 3, 5


@dataclass(frozen=True)
class TurnSummary:
    """One turn's summary.

    Attributes
    ----------
    stamp : str or None
        Written by the harness, like `measured` and `artifacts`.
    sentences : tuple of str
        Three to five, one a line: what was advanced, the main problem, the one next step.
    """

    stamp: str | None
    sentences: tuple[str, ...]
    measured: str = ""
    artifacts: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Summary:
    """The document as read: `preamble` is the text above the newest turn, `turns` are newest first."""

    preamble: str
    turns: tuple[TurnSummary, ...] = ()
    problems: tuple[Problem, ...] = field(default=(), compare=False)
    path: str = field(default="summary.md", compare=False)


def _read_turn(lines: Sequence[str], start: int, stamp: str | None, problems: ProblemList) -> TurnSummary:
    """Read the turn whose heading is line `start` and whose other lines are `lines`."""
    sentences: list[str] = []
    owned: dict[str, str] = {}
    for number, line in enumerate(lines, start=start + 1):
        match = _OWNED.fullmatch(line)
        if _LOST.fullmatch(line):
            problems.add(number, "a heading '### Turn Summary — UTC'", shown(line))
        elif match and match["key"] not in owned:
            owned[match["key"]] = match["value"]
        elif match or (line and "Artifacts" in owned):
            problems.add(number, "a heading '### Turn Summary — UTC' after the artifacts", shown(line))
        elif line:
            sentences.append(line)
    if stamp and parse_stamp(stamp) is None:
        problems.add(start, "a stamp such as 2026-01-15T22:58:50Z", shown(stamp))
    if not _FEWEST <= len(sentences) <= _MOST:
        problems.add(start, f"{_FEWEST} to {_MOST} sentences, one a line", f"{len(sentences)}")
    return TurnSummary(stamp, tuple(sentences), owned.get("Measured", ""), owned.get("Artifacts", ""), start)


def parse_summary(text: str, path: str = "summary.md") -> Summary:
    """Read the turns of a summary; whatever cannot be read is named in `Summary.problems`, with its line.

    Parameters
    ----------
    text : str
        The whole file.
    path : str
        Named in the problems.
    """
    problems = ProblemList(path)
    lines = split_lines(text)
    bare = [line.strip() for line in lines]
    blocks = find_blocks(bare, _HEADING.fullmatch)
    first = blocks[0][0] if blocks else len(lines) + 1
    for number, line in enumerate(bare[: first - 1], start=1):
        if _LOST.fullmatch(line) or _OWNED.fullmatch(line):
            problems.add(number, "a heading '### Turn Summary — UTC'", shown(line))
    turns = tuple(_read_turn(bare[start:end], start, match["stamp"], problems) for start, end, match in blocks)
    problems.check_end(text)
    return Summary("".join(lines[: first - 1]), turns, problems.sorted(), path)


def render_turn(turn: TurnSummary) -> str:
    """Write one turn; a line break inside a value becomes a space.

    Raises
    ------
    RecordError
        The text would be read back as another turn.
    """
    turn = replace(
        turn,
        sentences=tuple(filter(None, map(on_one_line, turn.sentences))),
        measured=on_one_line(turn.measured),
        artifacts=on_one_line(turn.artifacts),
    )
    heading = f"### Turn Summary — {turn.stamp}" if turn.stamp else "### Turn Summary"
    # Two spaces at a line's end keep one line a sentence when the file is shown as a page.
    lines = [heading, *(f"{sentence}  " for sentence in turn.sentences)]
    lines += [f"Measured: {turn.measured}  "] if turn.measured else []
    lines += [f"Artifacts: {turn.artifacts}"] if turn.artifacts else []
    text = "\n".join(lines) + "\n"
    again = parse_summary(text).turns
    check_same(turn, again[0] if len(again) == 1 else None, f"turn summary {turn.stamp or 'without a stamp'}")
    return text


def with_turn(text: str, turn: TurnSummary) -> str:
    """Put a turn above the others; every other line keeps its bytes.

    Raises
    ------
    RecordError
        The turn's text would be read back as something else.
    """
    lines = split_lines(text)
    newest = next((at for at, line in enumerate(lines) if _HEADING.fullmatch(line.strip())), len(lines))
    above, below = "".join(lines[:newest]), "".join(lines[newest:])
    return with_block(above, render_turn(turn)) + (f"\n{below}" if below else "")
