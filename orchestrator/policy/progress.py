"""What a turn's facts amount to: verdict, progress, and the reasons a person reads."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from orchestrator.facts import Facts, PathClass, RowResult, RowVerdict, Verdict

__all__ = ["Judgement", "is_gain", "judge_engineer", "judge_supervisor"]

_VALUES_SHOWN = 3
_GAIN = re.compile(r"\S+ verified\b|\d+ → \d+ failing|production code changed and \d+ mapped tests pass")


@dataclass(frozen=True)
class Judgement:
    """A verdict with its reasons; `failing` is the set of failing tests and rows after the turn."""

    verdict: Verdict
    progress: bool
    verified: tuple[str, ...]
    failing: tuple[str, ...]
    reasons: tuple[str, ...]


def is_gain(reason: str) -> bool:
    """Whether a reason is something that the harness found to hold now."""
    return _GAIN.match(reason) is not None


def judge_supervisor(facts: Facts) -> Judgement:
    """Judge a supervisor's turn: it counts when its handoff is valid; what crossed a fence was put back and is told."""
    verdict = Verdict.REFUSED if facts.refusals else Verdict.HANDOFF
    return Judgement(
        verdict, progress=False, verified=(), failing=(), reasons=facts.refusals or (*facts.crossed, *facts.told)
    )


def _failing(facts: Facts) -> tuple[str, ...]:
    tests = [node for run in facts.tests for node in run.failing]
    rows = [f"row {result.row}" for result in facts.rows if result.verdict is RowVerdict.FAILED]
    rows += [node for result in facts.rows if result.tests for node in result.tests.failing]
    return tuple(dict.fromkeys(tests + rows))


def _shown(result: RowResult) -> str:
    """Return a verified row with the first values its expectations found; comparisons of size come first."""
    found = []
    for expect in sorted(result.expects, key=lambda expect: "==" in expect.text):
        key, _, condition = expect.text.partition(":")[2].partition(" ")
        value = f"{expect.found:.4g}" if isinstance(expect.found, float) else str(expect.found)
        if condition and condition != "exists":
            found.append(f"{key} = {value}, asked {condition}")
    more = len(found) - _VALUES_SHOWN
    found[_VALUES_SHOWN:] = [f"{more} more hold"] if more > 0 else []
    if result.tests:
        found.append(f"{result.tests.passed} passed")
    return f"{result.row} verified" + (f" ({'; '.join(found)})" if found else "")


def _gains(facts: Facts, failing: Collection[str], failing_before: Collection[str]) -> list[str]:
    gains = [_shown(r) for r in facts.rows if r.verdict is RowVerdict.VERIFIED]
    if failing and set(failing) < set(failing_before):
        gains.append(f"{len(failing_before)} → {len(failing)} failing")
    production = any(change.kind is PathClass.PRODUCTION for change in facts.changes)
    if production and facts.tests and all(run.ok for run in facts.tests):
        gains.append(f"production code changed and {sum(run.passed for run in facts.tests)} mapped tests pass")
    return gains


def judge_engineer(facts: Facts, failing_before: Collection[str]) -> Judgement:
    """Judge an engineer's turn.

    Newly verified rows, a shrinking set of failing tests, and a production diff whose mapped tests all pass are
    progress. A contradicted claim takes back everything but verified rows: those the harness measured itself.
    """
    failing = _failing(facts)
    verified = tuple(r.row for r in facts.rows if r.verdict is RowVerdict.VERIFIED)
    gains = _gains(facts, failing, failing_before)
    false_claims = [f"claimed {claim.text!r}; measured {claim.fact}" for claim in facts.claims if claim.contradicted]
    broken = [f"{run.note}" for run in facts.tests if run.note]
    broken += [f"{r.row}: {r.reason}" for r in facts.rows if r.verdict is not RowVerdict.VERIFIED]
    reasons = (*false_claims, *gains, *broken, *facts.crossed, *facts.told) or (
        "nothing the harness can measure has changed",
    )
    verdict = Verdict.PROGRESS if gains else Verdict.NO_PROGRESS
    if false_claims and not verified:
        verdict = Verdict.REFUSED
    return Judgement(verdict, verdict is Verdict.PROGRESS, verified, failing, reasons)
