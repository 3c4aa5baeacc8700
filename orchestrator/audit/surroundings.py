"""What stands around a line of a text and tells what it is about: its heading, and the artifacts named beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["ARTIFACT", "Around", "look_around", "part_names"]

ARTIFACT = re.compile(r"(?<![\w.-])[\w.-]+\.(?:log|txt|xml|json|out)\b")
_HEADING = re.compile(r"\s*#{1,6}\s")
_PART = re.compile(r"(?<![a-z])(chunk|part|shard|batch|split|piece|step|v)[ _-]?0*(\d+[a-z]?)(?![a-z\d]|\.\d)")
_FIGURE = re.compile(
    r"\s*(?:[-*+]\s+)?(?P<row>\|)?[\s*_`✅❌]*(?P<name>total(?:\s+tests?)?(?:\s+collected)?|tests?\s+collected|collected|"
    r"passed|failed|failures|errors?|skipped|x-?failed|x-?fail|x-?passed)[*_`\s]*(?(row)\||:)[*_`\s]*"
    r"(?P<number>\d{1,3}(?:,\d{3})+|\d{1,7})(?![\w/.-])(?P<rest>.*)",
    re.IGNORECASE,
)
_TEST_FILE = re.compile(r"(?<!--ignore=)(?<!--deselect=)(?<![\w./=-])(?:[\w.-]+/)*(test_\w+\.py|\w+_test\.py)\b")
_COMMAND = re.compile(r"\bpytest\s+(?:-|\.?[\w./-]*(?:/|\.py))")
_ANOTHER = re.compile(r"\|[\s*]*[\d,]+[\s*]*\|")  # the figure of another run in the next column

_LONGEST_FIGURE = 500
_ONE_TEXT = 2  # its heading, and what stands before it

_Line = tuple[int, str]


@dataclass(frozen=True)
class Around:
    """What stands around one line.

    Attributes
    ----------
    heading : str
        The heading it stands below; empty where there is none.
    circles : tuple of frozenset of str
        Names of artifacts, from the nearest circle that names just one to all that a text without sections names.
    tests : frozenset of str
        Test files named by the item that the line stands below, by the last command before it, or by its heading.
    """

    heading: str
    circles: tuple[frozenset[str], ...]
    tests: frozenset[str] = frozenset()


def part_names(text: str) -> frozenset[tuple[str, str]]:
    """Return the numbered parts that a text or a path names: ``Chunk 04`` and ``chunk_4`` are the same."""
    return frozenset((match[1], match[2]) for match in _PART.finditer(text.lower()))


def _figures(lines: Sequence[_Line]) -> Iterator[_Line]:
    """Yield lines with figures of one run that stand one below the other joined into the first of them."""
    waiting: list[tuple[int, str, str]] = []
    for number, line in [*lines, (0, "")]:
        found = _FIGURE.match(line.strip()) if len(line) < _LONGEST_FIGURE else None
        if found and not (found["row"] and _ANOTHER.search(f"|{found['number']}{found['rest']}"[1:])):
            name = re.sub(r"tests?\s+(?=collected)|total\s+(?:tests?\s+)?(?=collected)|-", "", found["name"].lower())
            waiting.append((number, line, f"{name}: {found['number']}"))
            continue
        if len(waiting) > 1:
            yield waiting[0][0], ", ".join(figure for *_, figure in waiting)
        else:
            yield from ((at, text) for at, text, _ in waiting)
        waiting = []
        if number:
            yield number, line


def _alone(lines: Sequence[str]) -> tuple[frozenset[str], ...]:
    names = frozenset(name for line in lines for name in ARTIFACT.findall(line))
    return (names,) if len(names) == 1 else ()


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _groups(lines: Sequence[str], *, by_indent: bool) -> Iterator[tuple[int, int]]:
    """Yield the first and the last place of lines that belong together: one block, or one depth of a list in it."""
    first = 0
    for at in range(1, len(lines) + 1):
        if at == len(lines) or not lines[at].strip() or not lines[at - 1].strip() or (
            by_indent and _indent(lines[at]) != _indent(lines[at - 1])
        ):  # fmt: skip
            yield first, at
            first = at


def _tested(lines: Sequence[_Line]) -> Iterator[frozenset[str]]:
    """Yield for every line the test files that what stands above it names."""
    heading: frozenset[str] = frozenset()
    command: frozenset[str] | None = None
    above: list[tuple[int, frozenset[str]]] = []
    for _, text in lines:
        named = frozenset(_TEST_FILE.findall(text))
        if _HEADING.match(text):
            heading, command, above = named, None, []
        while text.strip() and above and above[-1][0] >= _indent(text):
            above.pop()
        item = next((files for _, files in reversed(above) if files), frozenset[str]())
        yield item or (heading if command is None else command)
        if _COMMAND.search(text):
            command = named
        if text.strip():
            above.append((_indent(text), named))


def look_around(lines: Sequence[_Line]) -> Iterator[tuple[int, str, Around]]:
    """Yield every line of a text with what stands around it; figures in a list or a table are one line."""
    texts = [text for _, text in lines]
    whole = frozenset(name for text in texts for name in ARTIFACT.findall(text))
    around: dict[int, list[frozenset[str]]] = {number: [] for number, _ in lines}
    sections = [at for at, text in enumerate(texts) if _HEADING.match(text)]
    bounds = [
        (first, last) for first, last in zip([0, *sections], [*sections, len(texts)], strict=True) if first < last
    ]
    for places in (_groups(texts, by_indent=True), _groups(texts, by_indent=False), bounds):
        for first, last in places:
            alone = _alone(texts[first:last])
            for at in range(first, last):
                around[lines[at][0]] += alone
    heading = ""
    tested = {number: files for (number, _), files in zip(lines, _tested(lines), strict=True)}
    everywhere = [whole] if len(bounds) <= _ONE_TEXT else []
    for number, text in _figures(lines):
        heading = text if _HEADING.match(text) else heading
        yield number, text, Around(heading, (*around[number], *everywhere), tested[number])
