"""Whether a handoff may go to the engineer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from orchestrator.facts import Role, TurnRecord, Verdict
from orchestrator.layout import HANDOFF
from orchestrator.policy.rules import Breach, breach
from orchestrator.records.handoff import Handoff, StepKind

__all__ = ["HandoffContext", "check_handoff", "check_selection"]

_MOST_SELECTORS = 50  # each is a start of pytest


@dataclass(frozen=True)
class HandoffContext:
    """What a handoff is held against.

    `collects` runs pytest's collection for a selector and returns how many tests it found; `is_open` tells whether a
    command is that of an open row; `repeated` are signatures of failures seen twice in a row on the focus; `last` is
    the handoff before this one. An item that `stands_still` needs a handoff that works on one of its criteria.
    """

    runnable: Collection[str]
    branch: str
    hub: str
    findings: Collection[str]
    open_rows: Collection[str]
    collects: Callable[[str], int]
    repeated: Collection[str] = ()
    last: Handoff | None = None
    is_open: Callable[[str], bool] = lambda _command: False
    stands_still: bool = False


def _inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not PurePosixPath(path).is_absolute() and ".." not in parts and parts[0] != ".git"


def _runnable_work(handoff: Handoff, context: HandoffContext) -> str:
    """Return what Do Now lacks, empty when there is something to do in it."""
    kinds = {step.kind for step in handoff.do_now}
    if StepKind.IMPLEMENT in kinds and (handoff.mapped_tests or StepKind.TEST in kinds):
        return ""
    if kinds & {StepKind.RUN, StepKind.TEST} and context.open_rows:
        return ""
    if StepKind.IMPLEMENT in kinds:
        return "Do Now implements something but maps no test"
    return "Do Now has nothing runnable"


def _works_on_criterion(handoff: Handoff, context: HandoffContext) -> bool:
    """Whether Do Now implements something that an existing test shows, or runs an open row."""
    implements = any(step.kind is StepKind.IMPLEMENT for step in handoff.do_now)
    if any(step.command and context.is_open(step.command) for step in handoff.do_now):
        return True
    return implements and any(context.collects(selector) for selector in handoff.mapped_tests[:_MOST_SELECTORS])


def _selectors(handoff: Handoff, context: HandoffContext) -> list[Breach]:
    if len(handoff.mapped_tests) > _MOST_SELECTORS:
        said = (
            f"{len(handoff.mapped_tests)} mapped tests, at most {_MOST_SELECTORS} are looked at; name files or folders"
        )
        return [breach("HANDOFF-SELECTOR", said, HANDOFF)]
    written_now = {step.path for step in handoff.do_now if step.kind is StepKind.IMPLEMENT}
    return [
        breach("HANDOFF-SELECTOR", f"mapped test {selector!r} collects nothing", HANDOFF)
        for selector in handoff.mapped_tests
        if selector.split("::")[0] not in written_now and context.collects(selector) == 0
    ]


def _inspection(handoff: Handoff, context: HandoffContext) -> str:
    """Return how a handoff passes over a failure that keeps coming back, empty when it does not."""
    if not context.repeated:
        return ""
    nodes = [signature.partition(": ")[0] for signature in context.repeated]
    names = [node.partition("[")[0].rpartition("::")[2].rpartition("/")[2] for node in nodes]
    steps = [" ".join(filter(None, (s.text, s.path, s.symbol, s.command))) for s in handoff.do_now]
    said = " ".join([*steps, handoff.rationale])
    failed = f"{next(iter(context.repeated))!r} was seen in two turns in a row"
    if not any(name in said for name in names):
        return f"{failed}, and the handoff does not name {' or '.join(names[:3])}"
    if context.last and context.last.focus == handoff.focus and context.last.do_now == handoff.do_now:
        return f"{failed}, and Do Now is the one of the last handoff"
    return ""


def check_handoff(handoff: Handoff, context: HandoffContext) -> tuple[Breach, ...]:
    """Return what speaks against the handoff, nothing when it is good."""
    if handoff.focus not in context.runnable:
        choices = ", ".join(context.runnable) or "none"
        wrong = f"focus {handoff.focus!r} is not runnable now" if handoff.focus else "no line `Focus: <ID> — <title>`"
        return (breach("HANDOFF-FOCUS", f"{wrong} (runnable: {choices})", HANDOFF),)
    found: list[Breach] = []
    work = _runnable_work(handoff, context)
    if work:
        found.append(breach("HANDOFF-WORK", work, HANDOFF))
    inspection = _inspection(handoff, context)
    if inspection:
        found.append(breach("HANDOFF-INSPECT", inspection, HANDOFF))
    found += [
        breach("HANDOFF-PATH", f"Do Now names {step.path!r}, which is not inside the repository", HANDOFF)
        for step in handoff.do_now
        if step.kind is StepKind.IMPLEMENT and not _inside(step.path or "")
    ]
    if handoff.branch and handoff.branch != context.branch:
        said = f"branch {handoff.branch!r} is not this run's, which is {context.branch!r}"
        found.append(breach("HANDOFF-BRANCH", said, HANDOFF))
    if handoff.artifacts and handoff.artifacts.rstrip("/") != context.hub.rstrip("/"):
        said = f"artifacts {handoff.artifacts!r} is not the issued hub, which is {context.hub!r}"
        found.append(breach("HANDOFF-HUB", said, HANDOFF))
    found += [
        breach("HANDOFF-FINDING", f"finding {finding} is not in docs/findings.md", HANDOFF)
        for finding in handoff.findings
        if finding not in context.findings
    ]
    found += _selectors(handoff, context)
    if context.stands_still and not work and not _works_on_criterion(handoff, context):
        said = f"{handoff.focus} made no progress lately, and Do Now works on none of its open criteria"
        found.append(breach("DWELL-CRITERION", said, HANDOFF))
    return tuple(found)


def check_selection(turns: Iterable[TurnRecord]) -> tuple[Breach, ...]:
    """Return what speaks against a turn without a handoff, after these turns: a second one in a row."""
    verdicts = [turn.verdict for turn in turns if turn.role is Role.SUPERVISOR]
    again = verdicts[-1:] == [Verdict.SELECTION]
    return (breach("HANDOFF-SELECTION", "the last turn handed nothing over either", HANDOFF),) if again else ()
