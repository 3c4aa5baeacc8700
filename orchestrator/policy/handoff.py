"""Whether a handoff may go to the engineer; each refusal ends in what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

from orchestrator.records.handoff import Handoff, StepKind

__all__ = ["HandoffContext", "check_handoff"]


@dataclass(frozen=True)
class HandoffContext:
    """What a handoff is held against.

    `collects` runs pytest's collection for a selector and returns how many tests it found.
    """

    runnable: Collection[str]
    branch: str
    hub: str
    findings: Collection[str]
    open_rows: Collection[str]
    collects: Callable[[str], int]


def _inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not PurePosixPath(path).is_absolute() and ".." not in parts and parts[0] != ".git"


def _runnable_work(handoff: Handoff, context: HandoffContext) -> str:
    kinds = {step.kind for step in handoff.do_now}
    if StepKind.IMPLEMENT in kinds and (handoff.mapped_tests or StepKind.TEST in kinds):
        return ""
    if kinds & {StepKind.RUN, StepKind.TEST} and context.open_rows:
        return ""
    if StepKind.IMPLEMENT in kinds:
        return "Do Now implements something but maps no test: name at least one selector under Mapped tests"
    return (
        "Do Now has nothing runnable: give `Implement: path::symbol — what` with a mapped test, or an open row's `Run:`"
    )


def _selectors(handoff: Handoff, context: HandoffContext) -> list[str]:
    written_now = {step.path for step in handoff.do_now if step.kind is StepKind.IMPLEMENT}
    return [
        f"mapped test {selector!r} collects nothing: correct it, or let the first step write that test"
        for selector in handoff.mapped_tests
        if selector.split("::")[0] not in written_now and context.collects(selector) == 0
    ]


def check_handoff(handoff: Handoff, context: HandoffContext) -> tuple[str, ...]:
    """Reasons to refuse the handoff, empty when it is good."""
    if handoff.focus not in context.runnable:
        choices = ", ".join(context.runnable)
        wrong = f"focus {handoff.focus!r} is not runnable now" if handoff.focus else "no line `Focus: <ID> — <title>`"
        return (f"input.md: {wrong}: choose one of {choices}",)
    refusals: list[str] = []
    work = _runnable_work(handoff, context)
    if work:
        refusals.append(work)
    for step in handoff.do_now:
        if step.kind is StepKind.IMPLEMENT and not _inside(step.path or ""):
            refusals.append(
                f"Do Now names {step.path!r}, which is not inside the repository: give a path below its root"
            )
    if handoff.branch and handoff.branch != context.branch:
        refusals.append(f"branch {handoff.branch!r} is not this run's: write {context.branch!r}")
    if handoff.artifacts and handoff.artifacts.rstrip("/") != context.hub.rstrip("/"):
        refusals.append(f"artifacts {handoff.artifacts!r} is not the issued hub: write {context.hub!r}")
    refusals += [
        f"finding {finding} is not in docs/findings.md: add it there or cite another"
        for finding in handoff.findings
        if finding not in context.findings
    ]
    return tuple(refusals + _selectors(handoff, context))
