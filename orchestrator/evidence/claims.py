"""What an engineer's summary claims, held against what the harness measured in the same turn."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.facts import Claim, RowResult, RowVerdict, TestRun
from orchestrator.policy.counts import Tally, agrees
from orchestrator.records.claims import ClaimKind, read_claims

__all__ = ["check_claims"]

_ROW = re.compile(r"\b([A-Z](?:\.?[A-Z])?\d+)\b[^.;]*?\b(?:verified|holds|is met)\b")


def _tally(run: TestRun) -> Tally:
    return Tally(passed=run.passed, failed=run.failed, skipped=run.skipped + len(run.not_run), collected=run.collected)


def _test_claims(line: str, runs: Sequence[TestRun]) -> list[tuple[str, str, bool]]:
    """Hold what is said of tests against each run and all together; a skipped test is not one that passed."""
    tallies = [_tally(run) for run in runs]
    whole = Tally.sum(tallies) if tallies else Tally()
    fact = (
        f"{whole.passed} passed, {whole.failed} failed, {whole.collected} collected"
        if runs
        else "no test run in this turn"
    )
    found = []
    for said in read_claims(line):
        if said.kind is ClaimKind.COUNTS and (said.every or {"passed", "collected"} & said.counts.keys()):
            right = any(agrees(said, tally) for tally in (*tallies, whole))
            right = right and (not said.every or all(run.ok for run in runs))
            found.append((said.text, fact, bool(runs) and said.firm and not said.part and not right))
    return found


def _row_claims(line: str, rows: Sequence[RowResult]) -> list[tuple[str, str, bool]]:
    verdicts = {result.row: result.verdict for result in rows}
    found = [(match[0], match[1]) for match in _ROW.finditer(line) if match[1] in verdicts]
    return [(text, f"{row} {verdicts[row].value}", verdicts[row] is not RowVerdict.VERIFIED) for text, row in found]


def check_claims(
    sentences: Sequence[tuple[int, str]], path: str, tests: Sequence[TestRun], rows: Sequence[RowResult]
) -> tuple[Claim, ...]:
    """Claims in the numbered sentences; a count without any test run in this turn is unverifiable, not false."""
    runs = [*tests, *(result.tests for result in rows if result.tests)]
    return tuple(
        Claim(path, line, text, fact, contradicted)
        for line, sentence in sentences
        for text, fact, contradicted in [*_test_claims(sentence, runs), *_row_claims(sentence, rows)]
    )
