"""What every document of the loop is made of: numbered lines, ids, fields, table cells, problems."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass

from orchestrator.errors import RecordError

__all__ = [
    "Problem",
    "ProblemList",
    "check_same",
    "counted",
    "decode",
    "find_blocks",
    "is_id",
    "on_one_line",
    "read_field",
    "shown",
    "split_lines",
    "strip_code",
    "table_cells",
    "value_or_none",
    "with_block",
]

_ID = re.compile(r"[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+")
_FIELD = re.compile(r"[ \t]*(?:[-*] )?(?:\*\*)?(?P<key>[A-Z][A-Za-z/ \-]*?)(?:\*\*)?:(?:\*\*)?(?:[ \t]+(?P<value>.*))?")
_LINE_BREAK = re.compile(r"[\r\n]+")
_BARE_PIPE = re.compile(r"(?<!\\)\|")
_NOTHING = frozenset({"", "none", "n/a"})


@dataclass(frozen=True)
class Problem:
    """One place where a document is not what its reader expects; the text itself is kept as it stands."""

    path: str
    line: int
    expected: str
    found: str

    def __str__(self) -> str:
        """Return ``path:line: expected …, found …``."""
        return f"{self.path}:{self.line}: expected {self.expected}, found {self.found}"


class ProblemList:
    """The problems of one document, collected while it is read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._items: list[Problem] = []

    def add(self, line: int, expected: str, found: str) -> None:
        """Note that line `line` (from 1) holds `found` where `expected` should stand."""
        self._items.append(Problem(self.path, line, expected, found))

    def check_end(self, text: str) -> None:
        """Note a last line without a newline: the sign of a file that was cut short."""
        if text and not text.endswith("\n"):
            last = text[text.rfind("\n") + 1 :]
            self.add(text.count("\n") + 1, "a newline at the end of the file", f"the end inside {shown(last)}")

    def sorted(self) -> tuple[Problem, ...]:
        """Return the problems in the order of their lines."""
        return tuple(sorted(self._items, key=lambda problem: problem.line))


def decode(data: bytes, path: str) -> tuple[str, tuple[Problem, ...]]:
    """Turn the bytes of a file into text that encodes back to the same bytes.

    Parameters
    ----------
    data : bytes
        The file's content, in UTF-8 if all is well.
    path : str
        Named in the problem.

    Returns
    -------
    text : str
        Bytes that are not UTF-8 become lone surrogates (PEP 383): encode with ``surrogateescape``.
    problems : tuple of Problem
        One, for the first such byte, or none.
    """
    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem(path, line, "UTF-8", f"byte 0x{data[error.start]:02x}")
        return data.decode("utf-8", "surrogateescape"), (problem,)


def split_lines(text: str) -> list[str]:
    r"""Split at ``\n`` only and keep it, so that joining the lines gives back `text`."""
    lines = text.split("\n")
    last = lines.pop()
    return [f"{line}\n" for line in lines] + ([last] if last else [])


def is_id(text: str) -> bool:
    """Whether `text` is an item's or finding's id, such as ``PARALLEL-API-INFERENCE`` or ``CONFIG-001``."""
    return _ID.fullmatch(text) is not None


def find_blocks(
    lines: Sequence[str], heading: Callable[[str], re.Match[str] | None]
) -> tuple[tuple[int, int, re.Match[str]], ...]:
    """Return the blocks that begin with a heading: number of the first line, number of the last, the match."""
    heads = [(number, match) for number, line in enumerate(lines, start=1) if (match := heading(line))]
    ends = [number - 1 for number, _ in heads[1:]] + [len(lines)]
    return tuple((start, end, match) for (start, match), end in zip(heads, ends, strict=False))


def read_field(line: str) -> tuple[str, str] | None:
    """Read ``Key: value`` with an optional bullet and bold key; the line may be indented.

    Returns
    -------
    tuple of str or None
        Key and value, both stripped; None when the line is no field.
    """
    match = _FIELD.fullmatch(line.rstrip())
    return (match["key"].strip(), (match["value"] or "").strip()) if match else None


def on_one_line(text: str) -> str:
    """Return `text` with its line breaks, and the blanks around them, made single spaces."""
    return " ".join(filter(None, (line.strip() for line in _LINE_BREAK.split(text))))


def value_or_none(text: str) -> str | None:
    """Return `text` without its back-ticks, or None where it says ``none`` or ``N/A`` or nothing."""
    value = strip_code(text.strip())
    return None if value.lower() in _NOTHING else value


def strip_code(text: str) -> str:
    """Return `text` without the one pair of back-ticks around it, if there is such a pair."""
    if len(text) > 2 and text[0] == text[-1] == "`" and "`" not in text[1:-1]:
        return text[1:-1]
    return text


def table_cells(line: str) -> tuple[str, ...] | None:
    r"""Return the cells of a table's line (``\|`` is a pipe inside a cell), None when it is no such line."""
    stripped = line.strip()
    if len(stripped) < 2 or stripped[0] != "|" or stripped[-1] != "|":
        return None
    return tuple(cell.strip().replace("\\|", "|") for cell in _BARE_PIPE.split(stripped)[1:-1])


def with_block(text: str, block: str) -> str:
    """Append `block` to `text`, one blank line between the two."""
    if text and not text.endswith("\n"):
        text += "\n"
    return text + ("" if not text or text.endswith("\n\n") else "\n") + block


def shown(text: str, limit: int = 60) -> str:
    """Return `text` quoted for a message, shortened to about `limit` characters."""
    text = text.strip()
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


def counted(number: int, one: str) -> str:
    """Return ``1 commit``, ``2 commits``: a number and what it counts."""
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def check_same(record: object, again: object, what: str) -> None:
    """Refuse text that would be read back as something else than the record it was rendered from.

    One check covers every way a value could break its document: a line break in a title, a heading
    inside a body, a marker where none may stand.

    Parameters
    ----------
    record, again : object
        The dataclass that was rendered, and what reading the rendered text gave (None: nothing).
    what : str
        Names the record in the message.

    Raises
    ------
    RecordError
        When the two differ; it names the first field that does.
    """
    if record == again:
        return
    hint = "write each value on one line, stripped, without the document's own marks"
    names = [field.name for field in fields(record) if field.compare] if is_dataclass(record) else []
    for name in names:
        mine, theirs = getattr(record, name), getattr(again, name, None)
        if mine != theirs:
            raise RecordError(
                f"{what}: expected {name} {shown(str(mine))} to be read back as it is, "
                f"it would be read as {shown(str(theirs))}: {hint}"
            )
    raise RecordError(f"{what}: expected {shown(str(record))} to be read back as it is: {hint}")
