"""What an agent says of an engineer's turn, held against what the harness measured in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from orchestrator.facts import Claim, RowResult, RowVerdict, TestRun
from orchestrator.policy.counts import Tally, agrees
from orchestrator.records.claims import ClaimKind, read_claims

__all__ = ["check_claims"]

_ROW = re.compile(r"\b[A-Z](?:\.?[A-Z])?\d+\b")
_VERIFIED = re.compile(r"\b(?:verified|holds?|(?:is|are) met)\b")
_NOT_NOW = re.compile(
    r"\b(?:not|never|cannot|\w+n't|will|would|should|shall|must|to|until|if|once|when|whether|before|unless|needs?|next)\b",
    re.IGNORECASE,
)
_OF_TESTS = re.compile(r"\b(?:tests?|pytest|suite)\b", re.IGNORECASE)
_COMMITTED = re.compile(r"\bcommitted\s+(?:\w+\s+){0,3}(?:as|in)\s+\W{0,2}(?:commit\s+)?`?$", re.IGNORECASE)
_FLATTERED = ("failed", "errors", "skipped")


def _tally(run: TestRun) -> Tally:
    return Tally(passed=run.passed, failed=run.failed, skipped=run.skipped + len(run.not_run), collected=run.collected)


def _test_claims(line: str, runs: Sequence[TestRun]) -> list[tuple[str, str, bool]]:
    """Hold what is said of tests against each run and all together; a skipped test is not one that passed."""
    tallies = [_tally(run) for run in runs]
    whole = Tally.sum(tallies) if tallies else Tally()
    fact = (
        f"{whole.passed} passed, {whole.failed} failed, {whole.collected} collected"
        + (f", {whole.skipped} skipped" if whole.skipped else "")
        if runs
        else "no test run in this turn"
    )
    found = []
    for said in read_claims(line):
        if said.kind is not ClaimKind.COUNTS:
            continue
        right = any(agrees(said, tally) for tally in (*tallies, whole))
        if said.every or {"passed", "collected"} & said.counts.keys():
            right = right and (not said.every or all(run.ok for run in runs))
        else:  # more than failed or skipped now may have done so in the course of the turn
            right = right or not any(said.counts.get(name, 9**9) < getattr(whole, name) for name in _FLATTERED)
        found.append((said.text, fact, bool(runs) and said.firm and not said.part and not right))
    return found


def _row_claims(line: str, rows: Sequence[RowResult]) -> list[tuple[str, str, bool]]:
    """Hold what is said to be verified against the rows; what is denied, wished for or to come is no claim."""
    verdicts = {result.row: result.verdict for result in rows}
    found = []
    for part in re.split(r"[.;](?=\s|$)|\bbut\b", line):
        verb = _VERIFIED.search(part)
        if verb is None or _NOT_NOW.search(part[: verb.end()]):
            continue
        for match in _ROW.finditer(part, 0, verb.start()):
            if match[0] in verdicts:
                verdict = verdicts[match[0]]
                said = part[match.start() : verb.end()]
                found.append((said, f"{match[0]} {verdict.value}", verdict is not RowVerdict.VERIFIED))
    return found


def _other_claims(
    line: str, runs: Sequence[TestRun], rows: Sequence[RowResult], knows: Callable[[str], bool]
) -> Iterator[tuple[str, str, bool]]:
    """Hold exit codes of tests and rows, and commits said to have been made, against what there is."""
    for said in read_claims(line):
        if said.kind is ClaimKind.EXIT_CODE and said.firm:
            codes = [row.exit_code for row in rows if row.row in _ROW.findall(said.about)]
            codes = codes or [run.exit_code for run in runs if _OF_TESTS.search(said.about)]
            fact = f"exit code {', '.join(map(str, codes)) or 'of no run'}"
            yield said.text, fact, bool(codes) and int(said.value) not in codes
        elif said.kind is ClaimKind.COMMIT and _COMMITTED.search(said.about.partition(said.value)[0]):
            yield said.text, "no such commit" if not knows(said.value) else "the commit is there", not knows(said.value)


def check_claims(
    sentences: Iterable[tuple[int, str]],
    path: str,
    tests: Sequence[TestRun],
    rows: Sequence[RowResult],
    knows: Callable[[str], bool] = bool,
) -> tuple[Claim, ...]:
    """Claims in the numbered sentences; a count without any test run in the turn is unverifiable, not false.

    `knows` tells whether the repository has a commit.
    """
    runs = [*tests, *(result.tests for result in rows if result.tests)]
    return tuple(
        Claim(path, line, text, fact, contradicted)
        for line, sentence in sentences
        for text, fact, contradicted in [
            *_test_claims(sentence, runs),
            *_row_claims(sentence, rows),
            *_other_claims(sentence, runs, rows, knows),
        ]
    )
