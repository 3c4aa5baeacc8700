"""The handoff, `input.md`: what the supervisor asks of the engineer in one turn."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from orchestrator.records.text import (
    Problem,
    ProblemList,
    check_same,
    find_blocks,
    is_id,
    shown,
    split_lines,
    strip_code,
    value_or_none,
    with_block,
)

__all__ = [
    "OPTIONS_WITH_VALUE",
    "SECTIONS",
    "Handoff",
    "Step",
    "StepKind",
    "announced_failures",
    "find_selectors",
    "parse_handoff",
    "render_handoff",
    "reruns",
    "with_owned_fields",
]

SECTIONS = {
    "Summary": "summary",
    "Mode": "mode",
    "Focus": "focus",
    "Branch": "branch",
    "Mapped tests": "mapped_tests",
    "Artifacts": "artifacts",
    "Do Now": "do_now",
    "If Blocked": "if_blocked",
    "Priorities & Rationale": "rationale",
    "How-To Map": "how_to",
    "Pitfalls To Avoid": "pitfalls",
    "Findings Applied": "findings",
    "Pointers": "pointers",
    "Next Up": "next_up",
}
_OWNED = ("Branch", "Artifacts")
_SECTION = re.compile(
    r"(?P<heading>#{1,3} +)?(?:\*\*)?(?P<key>" + "|".join(map(re.escape, SECTIONS)) + r")(?: \([^)]*\))?"
    r"(?P<colon>:\*\*|\*\*:|:)?(?:[ \t]+(?P<value>.*))?",
    re.IGNORECASE,
)
_STEP = re.compile(r"(?:\d+[.)]|[-*])[ \t]+(?P<text>\S.*)")
_STEP_KIND = re.compile(r"(?:\*\*)?(?P<kind>Implement|Test|Run)(?:\*\*)?:(?:\*\*)?[ \t]+(?P<rest>\S.*)")
_CODE = re.compile(r"`([^`]+)`")
_FINDING = re.compile(r"(?<![\w-])[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*-\d{3}(?![\w-])")
_ANNOUNCED = re.compile(r"\bfails with (?P<what>`[^`]+`|[A-Z].*)")
_RERUN = re.compile(r"\brerun:\s*(?P<why>\S.*)")
_BETWEEN_SELECTORS = re.compile(r"[;,]\s+(?![^\[\]]{0,200}\])")
_WORD = re.compile(r"[^\s\[]+(?:\[[^\]]*\])?")
OPTIONS_WITH_VALUE = frozenset({"-k", "-m", "-p", "-o", "-c", "-n", "-W", "-r"})  # of pytest


class StepKind(StrEnum):
    """What a step of the Do Now asks for."""

    IMPLEMENT = "Implement"
    TEST = "Test"
    RUN = "Run"
    TEXT = "Text"


@dataclass(frozen=True)
class Step:
    """One step of the Do Now.

    Attributes
    ----------
    text : str
        What is to be done, or why; the whole step for `StepKind.TEXT`.
    path, symbol : str or None
        Of an `Implement:` step.
    command : str or None
        Of a `Test:` or `Run:` step.
    """

    kind: StepKind
    text: str
    path: str | None = None
    symbol: str | None = None
    command: str | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Handoff:
    """The handoff as read; a section that says ``none`` is empty.

    Attributes
    ----------
    mapped_tests : tuple of str
        Selectors as pytest takes them.
    findings : tuple of str
        Ids of the findings applied.
    """

    summary: str = ""
    mode: str = ""
    focus: str = ""
    focus_title: str = ""
    branch: str = ""
    mapped_tests: tuple[str, ...] = ()
    artifacts: str = ""
    do_now: tuple[Step, ...] = ()
    if_blocked: str = ""
    rationale: str = ""
    how_to: str = ""
    pitfalls: str = ""
    findings: tuple[str, ...] = ()
    pointers: str = ""
    next_up: str = ""
    problems: tuple[Problem, ...] = field(default=(), compare=False)
    raw: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True)
class _Section:
    """A section with the numbers of its first and last line; `lines` starts with what follows the key."""

    key: str
    line: int
    end: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The section's text without the blank lines around it, or nothing when it says ``none``."""
        text = "\n".join(self.lines).strip()
        return text if value_or_none(text) is not None else ""


def _find_sections(text: str, problems: ProblemList) -> dict[str, _Section]:
    lines = [line.rstrip() for line in split_lines(text)]
    spelled = {key.lower(): key for key in SECTIONS}
    found: dict[str, _Section] = {}
    for number, end, match in find_blocks(lines, _section_head):
        key = spelled[match["key"].lower()]
        if key in found:
            problems.add(number, f"one section {key!r}", "a second one")
            continue
        found[key] = _Section(key, number, end, (match["value"] or "", *lines[number:end]))
    for key in SECTIONS:
        if key not in found and key not in _OWNED:
            problems.add(max(len(lines), 1), f"a section '{key}:' (write none where there is nothing)", "none")
        elif key in found and not "".join(found[key].lines).strip() and key not in _OWNED:
            problems.add(found[key].line, f"text in section {key!r} (write none where there is nothing)", "nothing")
    return found


def _section_head(line: str) -> re.Match[str] | None:
    """Match ``Key: value``, ``## Key`` and ``**Key:** value``: a bare key without any mark is prose."""
    match = _SECTION.fullmatch(line)
    return match if match and (match["heading"] or match["colon"]) else None


def _focus(section: _Section, problems: ProblemList) -> tuple[str, str]:
    focus, _, title = section.text.partition(" — ")
    focus = strip_code(focus.strip("[] "))
    if not is_id(focus) and focus != "FOCUS_SELECTION":
        problems.add(section.line, "Focus: ID — title", shown(section.text))
    return focus, title.strip()


def _selectors(section: _Section, problems: ProblemList) -> tuple[str, ...]:
    """Read selectors on one line or in a list, in back-ticks or not, alone or as a pytest command."""
    found: list[str] = []
    for number, line in enumerate(section.lines, start=section.line):
        text = line.strip().removeprefix("- ").removeprefix("* ").strip()
        if not text or re.match(r"none\b", text, re.IGNORECASE):
            continue
        selectors = find_selectors(text)
        if not selectors:
            problems.add(number, "a selector such as `tests/test_x.py::test_y`, or none", shown(text))
        found += selectors
    return tuple(dict.fromkeys(found))


def find_selectors(text: str) -> list[str]:
    """Return the selectors on one line, in back-ticks or not, alone or in pytest commands."""
    quoted = _CODE.findall(text)
    pieces = quoted or _BETWEEN_SELECTORS.split(text)
    return [selector for piece in pieces for selector in _of_command(piece, quoted=bool(quoted))]


def _of_command(text: str, *, quoted: bool) -> list[str]:
    """Return the selectors in one piece of text; options, assignments and the word pytest are left out."""
    if "pytest" not in text.split("::", maxsplit=1)[0].split():
        whole = quoted and (_is_path(text) or (" " not in text and not text.startswith("-")))
        return [text] if whole else [word for word in _WORD.findall(text) if _is_path(word)]
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    after = words[words.index("pytest") + 1 :] if "pytest" in words else words
    taken = {index + 1 for index, word in enumerate(after) if word in OPTIONS_WITH_VALUE}
    return [word for index, word in enumerate(after) if index not in taken and _is_path(word)]


def _is_path(word: str) -> bool:
    path = word.split("::", maxsplit=1)[0]
    return not word.startswith("-") and " " not in path and (path.endswith(".py") or "/" in path)


def _steps(section: _Section, problems: ProblemList) -> tuple[Step, ...]:
    joined: list[tuple[int, str]] = []
    if not section.text:
        return ()
    for number, line in enumerate(section.lines, start=section.line):
        match = _STEP.fullmatch(line.strip())
        if joined and line[:1] in {" ", "\t"}:
            joined[-1] = (joined[-1][0], f"{joined[-1][1]} {line.strip()}")
        elif line.strip():
            joined.append((number, match["text"] if match else line.strip()))
    return tuple(_step(number, text, problems) for number, text in joined)


def _step(number: int, text: str, problems: ProblemList) -> Step:
    match = _STEP_KIND.fullmatch(text)
    if match is None:
        return Step(StepKind.TEXT, text, line=number)
    kind = StepKind(match["kind"])
    code = _CODE.match(match["rest"])
    head, _, rest = match["rest"].partition(" — ")
    if code:
        head, rest = code[1], match["rest"][code.end() :].strip().removeprefix("—").strip()
    if kind is not StepKind.IMPLEMENT:
        return Step(kind, rest.strip(), command=head.strip(), line=number)
    path, _, symbol = head.strip().partition("::")
    if not path or " " in path:
        problems.add(number, "Implement: path::symbol — what", shown(text))
    return Step(kind, rest.strip(), path=path, symbol=symbol or None, line=number)


def parse_handoff(text: str, path: str = "input.md") -> Handoff:
    """Read a handoff; whatever cannot be read is named in `Handoff.problems`, with its line.

    Every section has to be there, with ``none`` where there is nothing: a file that was cut short lacks one.
    `Branch` and `Artifacts` may be missing, the harness fills them in.

    Parameters
    ----------
    text : str
        The whole file.
    path : str
        Named in the problems.
    """
    problems = ProblemList(path)
    found = _find_sections(text, problems)
    nothing = _Section("", 0, 0, ())
    values: dict[str, Any] = {name: found.get(key, nothing).text for key, name in SECTIONS.items()}
    values["focus"], values["focus_title"] = _focus(found["Focus"], problems) if "Focus" in found else ("", "")
    values |= {name: strip_code(values[name]) for name in ("branch", "artifacts")}
    values["mapped_tests"] = _selectors(found.get("Mapped tests", nothing), problems)
    values["do_now"] = _steps(found.get("Do Now", nothing), problems)
    values["findings"] = tuple(dict.fromkeys(_FINDING.findall(values["findings"])))
    return Handoff(**values, problems=problems.sorted(), raw=text)


def announced_failures(handoff: Handoff) -> dict[str, str]:
    """Return the failures that a handoff in Mode TDD announces, by test.

    A step says so as ``Implement: tests/test_x.py::test_y — fails with ValueError: part of the message``.
    """
    if "TDD" not in handoff.mode.upper().split():
        return {}
    found = ((step, _ANNOUNCED.search(step.text)) for step in handoff.do_now if step.symbol)
    return {f"{step.path}::{step.symbol}": strip_code(match["what"].strip(" .")) for step, match in found if match}


def reruns(handoff: Handoff) -> dict[str, str]:
    """Return the commands that a handoff wants run again though nothing changed, each with the reason.

    A step says so as ``Run: `python a.py` — rerun: the disk was full``.
    """
    found = ((step.command, _RERUN.search(step.text)) for step in handoff.do_now)
    return {command: match["why"] for command, match in found if command and match}


def _step_line(number: int, step: Step) -> str:
    if step.kind is StepKind.TEXT:
        return f"{number}. {step.text}"
    target = f"`{step.command}`"
    if step.kind is StepKind.IMPLEMENT:
        target = f"{step.path}::{step.symbol}" if step.symbol else f"{step.path}"
    return f"{number}. {step.kind.value}: {target}" + (f" — {step.text}" if step.text else "")


def _section_texts(handoff: Handoff) -> Mapping[str, str]:
    texts = {key: getattr(handoff, name) for key, name in SECTIONS.items()}
    return texts | {
        "Focus": f"{handoff.focus} — {handoff.focus_title}" if handoff.focus_title else handoff.focus,
        "Mapped tests": "\n".join(f"- `{selector}`" for selector in handoff.mapped_tests),
        "Do Now": "\n".join(_step_line(number, step) for number, step in enumerate(handoff.do_now, start=1)),
        "Findings Applied": ", ".join(handoff.findings),
    }


def _section_block(key: str, text: str) -> str:
    listed = "\n" in text or text.startswith(("- ", "1. "))
    return f"{key}:\n{text}\n" if listed else f"{key}: {text or 'none'}\n"


def render_handoff(handoff: Handoff) -> str:
    """Write a handoff; one that was parsed and not changed since comes back byte for byte.

    Raises
    ------
    RecordError
        The text would be read back as another handoff.
    """
    if parse_handoff(handoff.raw) == handoff:
        return handoff.raw
    text = "\n".join(_section_block(key, value) for key, value in _section_texts(handoff).items())
    check_same(handoff, parse_handoff(text), "input.md")
    return text


def with_owned_fields(text: str, *, branch: str, artifacts: str) -> str:
    """Write the harness's own sections, `Branch` and `Artifacts`, into a handoff; the rest keeps its bytes.

    Raises
    ------
    RecordError
        A value does not fit on a line.
    """
    before = parse_handoff(text)
    for key, value in (("Branch", branch), ("Artifacts", artifacts)):
        section = _find_sections(text, ProblemList("")).get(key)
        block = _section_block(key, value)
        if section is None:
            text = with_block(text, block)
        else:
            lines = split_lines(text)
            blank = [line for line in lines[section.line : section.end] if not line.strip()]
            text = "".join([*lines[: section.line - 1], block, *blank, *lines[section.end :]])
    check_same(replace(before, branch=branch, artifacts=artifacts), parse_handoff(text), "input.md")
    return text
