"""The rules that need no run, held against the documents of one working tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from orchestrator.agenda import Reader, folder_reader, read_agenda
from orchestrator.config import Config
from orchestrator.errors import ConfigError
from orchestrator.layout import FINDINGS, HANDOFF, LEDGER, MEMORY, plan_path
from orchestrator.policy.focus import WIP_LIMIT, check_circle, find_strangers
from orchestrator.policy.handoff import HandoffContext, check_handoff
from orchestrator.policy.rules import Breach, breach
from orchestrator.records.findings import parse_findings
from orchestrator.records.handoff import parse_handoff
from orchestrator.records.ledger import Ledger, Status, parse_ledger
from orchestrator.records.memory import parse_memory
from orchestrator.records.plan import parse_plan
from orchestrator.records.text import Problem
from orchestrator.state import State

__all__ = ["lint"]


def lint(root: Path, config: Config) -> tuple[Breach, ...]:
    """Return every breach in the documents below `root`, whatever severity its rule has here."""
    read = folder_reader(root)
    ledger = parse_ledger(read(LEDGER), LEDGER)
    return (
        *_ledger(ledger, read),
        *(found for item in ledger.items for found in _grammar("PLAN-GRAMMAR", read, plan_path(item), _plan_problems)),
        *_grammar("MEMORY-GRAMMAR", read, MEMORY, lambda text, path: parse_memory(text, path).problems),
        *_grammar("FINDINGS-GRAMMAR", read, FINDINGS, lambda text, path: parse_findings(text, path).problems),
        *_handoff(root, read, config),
    )


def _plan_problems(text: str, path: str) -> Iterable[Problem]:
    return parse_plan(text, path).problems


def _problem(rule: str, problem: Problem) -> Breach:
    return breach(rule, f"expected {problem.expected}, found {problem.found}", f"{problem.path}:{problem.line}")


def _grammar(rule: str, read: Reader, path: str, problems: Callable[[str, str], Iterable[Problem]]) -> Iterator[Breach]:
    """Give what a document's reader has to say; nothing about one that does not exist."""
    text = read(path)
    for problem in problems(text, path) if text else ():
        yield _problem(rule, problem)


def _ledger(ledger: Ledger, read: Reader) -> Iterator[Breach]:
    if not read(LEDGER):
        yield breach("LEDGER-GRAMMAR", "missing or empty", LEDGER)
    for problem in ledger.problems:
        yield _problem("LEDGER-GRAMMAR", problem)
    findings = parse_findings(read(FINDINGS), FINDINGS).findings if read(FINDINGS) else ()
    yield from find_strangers(ledger, {finding.id: finding.resolved for finding in findings})
    yield from check_circle(ledger)
    begun = [item for item in ledger.items if item.status is Status.IN_PROGRESS]
    if len(begun) > WIP_LIMIT:
        ids = ", ".join(item.id for item in begun)
        yield breach("LEDGER-WIP", f"{len(begun)} items are in progress: {ids}", f"{LEDGER}:{begun[WIP_LIMIT].line}")


def _handoff(root: Path, read: Reader, config: Config) -> Iterator[Breach]:
    """Hold the handoff against what stands in the tree; which run it belongs to, and what pytest collects, is not."""
    handoff = parse_handoff(read(HANDOFF), HANDOFF)
    if not handoff.focus:
        return
    try:
        agenda = read_agenda(read, State(), config)
    except ConfigError:
        return  # the ledger's own breaches say why
    focus = next((item for item in agenda.candidates if item.id == handoff.focus), None)
    yield from check_handoff(
        handoff,
        HandoffContext(
            runnable=[item.id for item in agenda.candidates],
            branch=handoff.branch or "",
            hub=handoff.artifacts or "",
            findings={finding.id for finding in agenda.findings},
            open_rows=[row.id for row in agenda.open_rows(focus, State())] if focus else [],
            collects=lambda selector: int((root / selector.split("::")[0]).exists()),
        ),
    )
