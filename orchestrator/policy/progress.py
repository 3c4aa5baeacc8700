"""What a turn's facts amount to: verdict, progress, and the reasons a person reads."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.facts import Claim, Facts, PathClass, Role, RowResult, RowVerdict, TurnRecord, Verdict
from orchestrator.policy.rules import Breach, Rulebook, Severity, breach

__all__ = ["Judgement", "false_claims", "gained_by_tests", "is_gain", "judge_engineer", "judge_handoff", "to_beat"]

_VALUES_SHOWN = 3
_GAIN = re.compile(r"\S+ verified\b|\d+ → \d+ failing|production code changed and \d+ mapped tests pass|new tests? ")
_BY_TESTS = "new test"


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


def gained_by_tests(turns: Iterable[TurnRecord]) -> bool:
    """Whether the last progress of an item was a test alone; the next one has to be more than that."""
    last = next((turn for turn in reversed(list(turns)) if turn.role is Role.ENGINEER and turn.progress), None)
    return last is not None and all(r.startswith(_BY_TESTS) for r in last.reasons if is_gain(r))


def to_beat(turns: Iterable[TurnRecord], allowed: int) -> int | None:
    """Return how many failing tests and rows an item has to get below, None while it need not.

    It has to after `allowed` turns of progress since a row was last verified, or since fewer tests failed than ever:
    anybody can go on changing code that a test of their own executes.
    """
    least, count = None, 0
    for turn in turns:
        failing = len(turn.failing)
        if turn.role is not Role.ENGINEER:
            continue
        if turn.verified:
            least, count = None, 0
            continue
        fewer = least is not None and failing < least
        least = failing if least is None else min(least, failing)
        count = 0 if fewer else count + turn.progress
    return least if count >= allowed else None


def judge_handoff(facts: Facts, verdict: Verdict) -> Judgement:
    """Judge a turn that leaves no evidence: it is `verdict` unless refused; what crossed a fence was put back."""
    verdict = Verdict.REFUSED if facts.refusals else verdict
    return Judgement(
        verdict, progress=False, verified=(), failing=(), reasons=facts.refusals or (*facts.crossed, *facts.told)
    )


def false_claims(claims: Iterable[Claim], rule: str) -> list[Breach]:
    """Return the claims that a fact contradicts."""
    found = ((f"claimed {c.text!r}; measured {c.fact}", f"({c.path}:{c.line})") for c in claims if c.contradicted)
    return [breach(rule, " ".join(parts)) for parts in found]


def _failing(facts: Facts) -> tuple[str, ...]:
    tests = [node for run in facts.tests for node in run.failing]
    rows = [f"row {result.row}" for result in facts.rows if result.verdict is RowVerdict.FAILED]
    rows += [node for result in facts.rows if result.tests for node in result.tests.failing]
    return tuple(dict.fromkeys(tests + rows))


def _missed(result: RowResult) -> str:
    """Return why a row does not hold, and whether that was found now."""
    if not result.recorded:
        return f"{result.row}: {result.reason}"
    found = f"failed in {result.recorded} on the same code, inputs and environment ({result.reason})"
    return breach("ROW-REPEATED", found, result.row).text


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
    if not all(expect.holds for expect in result.expects):  # of a hypothesis, which is found out either way
        found.append("so the hypothesis is refuted")
    if result.tests:
        found.append(result.tests.counted)
    if result.rechecked:
        found.append(f"what {result.rechecked} saved, evaluated again")
    return f"{result.row} verified" + (f" ({'; '.join(found)})" if found else "")


_Gain = tuple[str, Breach | None]
"""What may be progress, and the rule against it that discounts it."""


def _by_code(facts: Facts, failing: Collection[str], failing_before: Collection[str]) -> Iterator[_Gain]:
    """Yield what a production diff gained."""
    changed = [change.path for change in facts.changes if change.kind is PathClass.PRODUCTION]
    if not changed:
        return
    against = None
    executed = facts.tests[-1].executed if facts.tests else ()
    if facts.code.is_same:
        against = breach("PROGRESS-CODE", f"{_some(changed)} would run as before")
    fixed = {node for run in facts.runs for node in run.fixed}
    if failing and set(failing) < set(failing_before) and fixed - set(failing):
        yield f"{len(failing_before)} → {len(failing)} failing", against
    if facts.tests and all(run.ok for run in facts.tests):
        if not against and not executed and not facts.code.other:
            against = breach("PROGRESS-EXECUTED", f"no mapped test that passes uses {_some(facts.code.names)}")
        ran = f" and execute {_some(executed)}" if executed else ""
        not_run = list(dict.fromkeys(node for run in facts.tests for node in run.not_run))
        ran += f"; not run: {_some(not_run)}" if not_run else ""
        yield f"production code changed and {sum(run.passed for run in facts.tests)} mapped tests pass{ran}", against


def _by_tests(facts: Facts, *, again: bool) -> Iterator[_Gain]:
    """Yield what new tests gained by themselves."""
    twice = breach("PROGRESS-AGAIN", "tests alone were the last progress of this item already") if again else None
    if facts.announced:
        yield f"{_BY_TESTS}s fail as announced: {_some(facts.announced)}", twice
    elif facts.new_tests and facts.code.is_same:
        if facts.proving:
            yield f"{_BY_TESTS}s fail on the code the run started with and pass now: {_some(facts.proving)}", twice
        elif facts.tests and all(run.ok for run in facts.tests):
            found = f"only tests changed, and {_some(facts.new_tests)} pass on the code that the run started with too"
            yield f"{_BY_TESTS}s pass: {_some(facts.new_tests)}", breach("PROGRESS-TESTS", found)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _VALUES_SHOWN
    return ", ".join(names[:_VALUES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _excused(facts: Facts) -> list[str]:
    """Name the failing tests that are not charged, those of one kind together."""
    kinds: dict[str, list[str]] = {}
    for run in facts.tests:
        for node, why in run.excused.items():
            kinds.setdefault(why, []).append(node)
    return [f"not charged: {_some(list(dict.fromkeys(nodes)))} ({why})" for why, nodes in kinds.items()]


def judge_engineer(
    facts: Facts,
    failing_before: Collection[str],
    rulebook: Rulebook,
    *,
    tests_again: bool = False,
    must_beat: int | None = None,
) -> Judgement:
    """Judge an engineer's turn.

    Newly verified rows are progress; so is a production diff that shrinks the set of failing tests, or that mapped
    tests execute and pass; so is a new test alone, once (`tests_again` tells that it would be twice). Without a
    verified row fewer than `must_beat` tests and rows may be failing, where that is asked for (see `to_beat`). A
    contradicted claim takes back everything but verified rows: those the harness measured itself.
    """
    failing = _failing(facts)
    verified = tuple(r.row for r in facts.rows if r.verdict is RowVerdict.VERIFIED)
    found = [*_by_code(facts, failing, failing_before), *_by_tests(facts, again=tests_again)]
    if must_beat is not None and len(failing) >= must_beat:
        late = breach("PROGRESS-CRITERION", f"no row verified for long, and no fewer than {must_beat} failing")
        found = [(gain, against or late) for gain, against in found]
    gains = [_shown(r) for r in facts.rows if r.verdict is RowVerdict.VERIFIED]
    gains += [gain for gain, against in found if not against or not rulebook.held([against], Severity.DISCOUNT)]
    against = [against for _, against in found if against]
    told = [found.text for found in rulebook.held(against, Severity.DISCOUNT, Severity.REPORT)]
    claims = false_claims(facts.claims, "CLAIM-FALSE")
    refused = [claim.text for claim in rulebook.held(claims, Severity.REFUSE)]
    told += [claim.text for claim in rulebook.held(claims, Severity.REPORT)]
    broken = [f"{run.note}" for run in facts.tests if run.note]
    broken += [_missed(r) for r in facts.rows if r.verdict is not RowVerdict.VERIFIED]
    reasons = (*refused, *gains, *broken, *dict.fromkeys(told), *_excused(facts), *facts.crossed, *facts.told) or (
        "nothing the harness can measure has changed",
    )
    verdict = Verdict.PROGRESS if gains else Verdict.NO_PROGRESS
    if refused and not verified:
        verdict = Verdict.REFUSED
    return Judgement(verdict, verdict is Verdict.PROGRESS, verified, failing, reasons)
