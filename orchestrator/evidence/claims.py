"""What an engineer's summary claims, held against what the harness measured in the same turn."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.facts import Claim, RowResult, RowVerdict, TestRun

__all__ = ["check_claims"]

_COUNT = re.compile(r"\b(\d+)\s*(?:/\s*(\d+)\s*)?(?:tests?\s+)?(?:passed|pass|passing)\b", re.IGNORECASE)
_ALL = re.compile(r"\ball\s+(?:the\s+|mapped\s+)*tests?\s+(?:now\s+)?pass(?:ed|ing)?\b", re.IGNORECASE)
_ROW = re.compile(r"\b([A-Z](?:\.?[A-Z])?\d+)\b[^.;]*?\b(?:verified|holds|is met)\b")


def _test_claims(line: str, runs: Sequence[TestRun]) -> list[tuple[str, str, bool]]:
    passed, failed = sum(run.passed for run in runs), sum(run.failed for run in runs)
    collected = sum(run.collected for run in runs)
    fact = f"{passed} passed, {failed} failed, {collected} collected" if runs else "no test run in this turn"
    found = []
    for match in _COUNT.finditer(line):
        count, of = int(match[1]), match[2]
        single = any(count == run.passed for run in runs)
        wrong = bool(runs) and not ((count == passed or single) and (of is None or int(of) >= count))
        found.append((match[0], fact, wrong or (bool(runs) and of == match[1] and failed > 0)))
    found += [(match[0], fact, bool(runs) and not all(run.ok for run in runs)) for match in _ALL.finditer(line)]
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
