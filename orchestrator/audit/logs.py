"""What pytest printed, scraped: every run in a log, with the line that sums it up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.policy.counts import Tally

__all__ = ["OUTCOMES", "Run", "base_name", "read_log"]

_ENDS = "passed|failed|errors?|skipped|xfailed|xpassed|deselected|warnings?|rerun|subtests passed"
_COUNTED = re.compile(rf"(\d+) ({_ENDS})")
_OUT = r"PASSED|FAILED|SKIPPED|ERROR|XFAIL|XPASS"
OUTCOMES = {
    "passed": "passed", "failed": "failed", "skipped": "skipped",
    "error": "errors", "xfail": "xfailed", "xpass": "xpassed",
}  # fmt: skip
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LINE = re.compile(
    rf"""^(?:
      =+\ test\ session\ starts\ =+.*(?P<start>)
    | (?:collecting\ .*)?collected\ (?P<items>\d+)\ items?(?P<more>\ /\ .*)?\r?
    | [=\s]*(?:(?P<some>\d+)/)?(?P<found>\d+|no)\ tests?\ (?:collected|ran)(?P<which>.*)
    | [=]*\ *(?P<sum>\d+\ (?:{_ENDS})(?:,\ \d+\ (?:{_ENDS}))*)(?:\ in\ [\d.:]+.*)?\ *=*\r?
    | (?:\[gw\d+\]\ \[\ *\d+%\]\ (?P<out_first>{_OUT})\ )?(?P<node>[^\s:<>]+\.py::\S+(?:\[[^\]\n]*\])?)
      (?:\ +(?P<out>{_OUT})\b.*|\r?|\ .*)
    | (?P<out_short>{_OUT})\ (?P<node_short>[^\s:<>]+\.py(?:::\S+)?).*
    | SKIPPED\ \[\d+\]\ (?P<file_skipped>[^\s:]+\.py):.*
    | (?P<file>[^\s:<>]+\.py)\ [.FEsxXR]+(?:\ +\[\ *\d+%\])?\r?
    | \ *<Module\ '?(?P<module>[^>']+\.py)'?>.*
    | [ \t]*(?:exit[_\ ]?(?:code|status)|return[_\ ]?code|rc)\s*[=:]\s*(?P<code>\d{{1,3}})\s*
    )$""",
    re.MULTILINE | re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Run:
    """One run of tests as an artifact tells of it.

    Attributes
    ----------
    path, line : str, int
        Where its counts stand.
    kind : str
        log, xml or json.
    whole : bool
        Whether its end is there; without it the counts tell nothing.
    outcomes : mapping
        The last outcome of each test that is named, in lower case.
    files : frozenset of str
        Names of the test files that it is known to hold; empty where nothing is known.
    code : int or None
        Exit code that stands with it.
    """

    path: str
    line: int
    kind: str
    tally: Tally
    whole: bool = True
    outcomes: Mapping[str, str] = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    code: int | None = None


def base_name(node: str) -> str:
    """Return the name of a test's file, without its folder."""
    return node.partition("::")[0].replace("\\", "/").rpartition("/")[2]


class _Open:
    """A run while it is read."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.collected = self.deselected = 0
        self.outcomes: dict[str, str] = {}
        self.files: set[str] = set()
        self.listed = False

    def cut(self, path: str) -> Run:
        """Close a run without an end: its counts are known where each test that was collected has its outcome."""
        counts = Counter(OUTCOMES[outcome] for outcome in self.outcomes.values())
        known = 0 < self.collected == len(self.outcomes)
        return self.end(path, self.line, counts if known else {}, whole=known or self.listed)

    def end(self, path: str, line: int, counts: Mapping[str, int], *, whole: bool) -> Run:
        tally = Tally(**{"collected": self.collected, "deselected": self.deselected, **counts})
        return Run(path, line, "log", tally, whole, self.outcomes, frozenset(self.files))


def _named(text: str) -> dict[str, int]:
    """Read ``3 failed, 2 passed, 1 warning``."""
    names = {"error": "errors"}
    found = {names.get(name.lower(), name.lower()): int(number) for number, name in _COUNTED.findall(text)}
    return {name: number for name, number in found.items() if name in Tally.__dataclass_fields__}


def _take(run: _Open, match: re.Match[str]) -> None:
    """Take in a line that tells of one test or of what was collected."""
    node = match["node"] or match["node_short"]
    outcome = match["out"] or match["out_first"] or match["out_short"]
    if match["items"]:
        selected = re.search(r"(\d+) selected", match["more"] or "")
        run.collected = int(selected[1]) if selected else int(match["items"])
        run.deselected = int(match["items"]) - run.collected
    if node:
        run.files.add(base_name(node))
        if outcome and "::" in node:
            run.outcomes[node] = outcome.lower()
    for name in (match["file"], match["module"], match["file_skipped"]):
        if name:
            run.files.add(base_name(name))
    run.listed = run.listed or bool(match["module"])


def read_log(text: str, path: str) -> Iterator[Run]:
    """Yield the runs of a log in its order; one without an end, or with only its collection, among them."""
    text = _COLOURS.sub("", text) if "\x1b" in text else text
    run: _Open | None = None
    at = line = 0
    for match in _LINE.finditer(text):
        line, at = line + text.count("\n", at, match.start()), match.start()
        number = line + 1
        if match["start"] is not None and run is not None:
            yield run.cut(path)
            run = None
        if match["code"]:
            yield Run(path, number, "code", Tally(), code=int(match["code"]))
            continue
        run = run or _Open(number)
        if match["sum"]:
            counts = _named(match["sum"])
            if set(counts) - {"deselected"}:
                yield run.end(path, number, counts, whole=True)
                run = None
        elif match["found"]:
            found = 0 if match["found"].lower() == "no" else int(match["found"])
            away = re.search(r"(\d+) deselected", match["which"])
            run.deselected = int(away[1]) if away else run.deselected
            run.collected = int(match["some"]) if match["some"] else found or (run.collected if run.listed else 0)
            yield run.end(path, number, _named(match["which"]), whole=True)
            run = None
        else:
            _take(run, match)
    if run is not None and (run.outcomes or run.collected or run.listed):
        yield run.cut(path)
