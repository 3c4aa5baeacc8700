"""What there is to do, read from the documents of one checkout and the state of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from orchestrator.agents.catalog import EMBEDDED
from orchestrator.config import Config
from orchestrator.errors import ConfigError
from orchestrator.git import Git
from orchestrator.layout import FINDINGS, LEDGER, plan_path
from orchestrator.policy.closure import is_complete, open_criteria, open_phase, open_rows
from orchestrator.policy.dwell import limits_of
from orchestrator.policy.focus import Standing, candidates, check_circle, find_strangers, standings
from orchestrator.policy.rules import breach
from orchestrator.records.findings import Finding, parse_findings
from orchestrator.records.ledger import Item, Kind, Ledger, Priority, Status, parse_ledger
from orchestrator.records.plan import Phase, Plan, Row, parse_plan
from orchestrator.state import State

__all__ = ["Agenda", "Reader", "commit_reader", "folder_reader", "read_agenda"]


Reader = Callable[[str], str]
"""Gives a document's text by its repository path, empty when it does not exist."""


def folder_reader(root: Path) -> Reader:
    """Return a reader of the files below `root`; damaged bytes become U+FFFD."""

    def read(path: str) -> str:
        target = root / path
        return target.read_bytes().decode("utf-8", errors="replace") if target.is_file() else ""

    return read


def commit_reader(git: Git, commit: str) -> Reader:
    """Return a reader of the files of a commit; damaged bytes become U+FFFD."""
    return partial(git.document, commit)


@dataclass(frozen=True)
class Agenda:
    """Ledger, plans and findings of one checkout, with what the policy makes of them."""

    ledger: Ledger
    plans: Mapping[str, Plan]
    findings: tuple[Finding, ...]
    standings: tuple[Standing, ...]
    candidates: tuple[Item, ...]

    def phase(self, item: Item, state: State) -> Phase | None:
        """Return the phase of an item that is worked on next."""
        plan = self.plans.get(item.id)
        return open_phase(plan, state.item(item.id).verified) if plan else None

    def open_rows(self, item: Item, state: State) -> tuple[Row, ...]:
        """Return the rows of that phase which a machine can run and has not verified."""
        phase = self.phase(item, state)
        return open_rows(phase, state.item(item.id).verified) if phase else ()


def _find_twin(item: Item, ledger: Ledger, plans: Mapping[str, Plan], state: State) -> str:
    """Return what stands still and has every open criterion of an item among its own; empty where nothing does."""
    for other in ledger.items:
        known = state.item(other.id)
        stuck = other.status in {Status.BLOCKED, Status.BLOCKED_ESCALATION} and known.dwell >= limits_of(other)[1]
        if stuck and other.id in plans and item.id in plans:
            own = open_criteria(plans[item.id], state.item(item.id).verified)
            if own and own <= open_criteria(plans[other.id], known.verified):
                found = f"its open rows are those of {other.id}, which is {other.status.value}"
                return breach("DWELL-TWIN", found).text
    return ""


def _plan_obstacle(item: Item, plan: Plan) -> str:
    stated = next((row for row in plan.rows if row.hypothesis), None)
    if plan.problems:
        return str(plan.problems[0])
    if stated and item.kind is not Kind.RESEARCH:
        cure = "enter the item with `Kind: research`, or let the row expect what has to hold"
        return f"{plan.path}:{stated.line}: `Hypothesis:` is for research; {cure}"
    return ""


def _obstacle(item: Item, plan: Plan | None, state: State, config: Config) -> str:
    """Return what stands in the way of an item that the ledger alone would let run."""
    if config.focus and item.id != config.focus:
        return f"not the focus asked for ({config.focus})"
    if plan is None:
        return f"{plan_path(item)} does not exist yet" if config.supervisor == EMBEDDED else ""
    problem = _plan_obstacle(item, plan)
    if problem:
        return problem
    verified = state.item(item.id).verified
    phase = open_phase(plan, verified)
    if phase is None:
        return "" if is_complete(plan, verified) else f"{plan.path} has no row with a `Run:` or `Test:`"
    writes_code = any(row.implement for row in phase.rows)
    if writes_code and config.engineer == EMBEDDED and not item.engineer:
        return "needs an engineer that writes code; the embedded one does not (--agent-command gives another)"
    return ""


def _as_the_run_knows(ledger: Ledger, state: State) -> Ledger:
    """Return the ledger with status and priority of the items the run has touched: the journal decides."""
    items = []
    for item in ledger.items:
        known = state.item(item.id)
        if known.status:
            item = replace(item, status=Status(known.status), status_note=known.note)  # noqa: PLW2901 -- same item
        if known.held:  # a person's word: what the ledger says of the item's return no longer holds
            item = replace(item, return_condition="")  # noqa: PLW2901 -- same item
        if known.priority:
            item = replace(item, priority=Priority[known.priority.upper()])  # noqa: PLW2901 -- same item
        items.append(item)
    return replace(ledger, items=tuple(items))


def read_agenda(read: Reader, state: State, config: Config) -> Agenda:
    """Read the documents and hold them against the state.

    Raises
    ------
    ConfigError
        The ledger is missing or damaged, names what is nowhere, has items that wait for each other, or does not know
        the focus asked for.
    """
    text = read(LEDGER)
    if not text:
        raise ConfigError(f"{LEDGER}: missing or empty; the loop reads there what is to be done")
    known_findings = read(FINDINGS)
    findings = parse_findings(known_findings, FINDINGS).findings if known_findings else ()
    resolved = {finding.id: finding.resolved for finding in findings}
    ledger = parse_ledger(text, LEDGER)
    wrong = [*find_strangers(ledger, resolved), *check_circle(ledger)]
    if ledger.problems or wrong:
        raise ConfigError("\n".join(map(str, ledger.problems)) or "\n".join(found.text for found in wrong))
    ledger = _as_the_run_knows(ledger, state)
    if config.focus and config.focus not in {item.id for item in ledger.items}:
        known = ", ".join(item.id for item in ledger.items)
        raise ConfigError(f"--focus {config.focus}: not in {LEDGER}; known are {known}")
    for item in ledger.items:
        if PurePosixPath(plan_path(item)).is_absolute() or ".." in PurePosixPath(plan_path(item)).parts:
            raise ConfigError(
                f"{LEDGER}:{item.line}: working plan {plan_path(item)!r}: give a path inside the repository"
            )
    plans = {
        item.id: parse_plan(plan_text, plan_path(item)) for item in ledger.items if (plan_text := read(plan_path(item)))
    }
    lowest = Priority.LOW if config.focus else Priority[config.priority.upper()]

    def further(item: Item) -> str:
        return _obstacle(item, plans.get(item.id), state, config) or _find_twin(item, ledger, plans, state)

    found = standings(ledger, lowest, further, resolved)
    return Agenda(ledger, plans, tuple(findings), found, candidates(found))
