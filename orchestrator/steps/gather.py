"""Steps collect and check: from whatever the agent left to tree T, on which everything is measured."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

from orchestrator.agenda import read_agenda
from orchestrator.config import known_secrets
from orchestrator.errors import ConfigError, GitError
from orchestrator.evidence.commands import plain_words, split_test
from orchestrator.evidence.criteria import evaluator_paths, implemented_paths, lies_below
from orchestrator.evidence.shadows import search_places, shadowing
from orchestrator.evidence.testing import count_collected
from orchestrator.facts import PathChange, PathClass
from orchestrator.layout import FINDINGS, HANDOFF, LEDGER, MEMORY, OWN_DOCUMENTS, plan_path
from orchestrator.policy.dwell import limits_of
from orchestrator.policy.fences import classify, crossing, locks
from orchestrator.policy.handoff import HandoffContext, check_handoff, check_selection
from orchestrator.policy.rules import Breach, Severity, breach
from orchestrator.policy.signatures import repeated
from orchestrator.records.handoff import parse_handoff
from orchestrator.records.ledger import Status
from orchestrator.records.plan import parse_plan
from orchestrator.roles import REVIEW_FILE, SELECTION, Leaving
from orchestrator.secrets import find_secrets, redact, redact_text
from orchestrator.steps.base import Turn, TurnFailed
from orchestrator.submissions import changed_rows, find_new_entry, lost_findings, standing_items

__all__ = ["check", "collect"]

_SUBMODULE = "160000"


def _changes(turn: Turn, tree: str) -> tuple[PathChange, ...]:
    config, text = turn.session.config, turn.session.worktree.text
    found = []
    for change in turn.session.worktree.git.diff_tree(turn.base, tree):
        kind = classify(change.path, tests=config.tests, docs=config.docs)
        if change.path == "pyproject.toml" and locks(text(turn.base, change.path), text(tree, change.path)):
            kind = PathClass.LOCK
        found.append(PathChange(change.path, change.status, kind))
    return tuple(found)


def collect(turn: Turn) -> Turn:
    """Turn the worktree into a tree; commits the agent made are folded into the turn."""
    worktree = turn.session.worktree
    own = worktree.take_over(turn.base, turn.id)
    shutil.rmtree(turn.stage, ignore_errors=True)
    turn.stage.mkdir(parents=True)  # whatever the agent may have put there is not the harness's
    try:
        tree = worktree.write_tree()
    except GitError as error:
        raise TurnFailed(f"git cannot keep what the agent left: {error}") from error
    return replace(turn, own=own, tree=tree, facts=replace(turn.facts, tree=tree, changes=_changes(turn, tree)))


def _make_is_frozen(turn: Turn) -> Callable[[str], bool]:
    """Return what tells whether a path decides criteria that are fixed.

    Rows and evaluators of a plan that stood when the run started are fixed from then on, others from the start of
    work on the item; evaluators are free again when the item is done, and where the focus's own standing plan asks
    for them to be implemented.
    """
    git, start = turn.session.worktree.git, turn.session.start
    path = plan_path(turn.focus) if turn.focus else ""
    asked = implemented_paths(parse_plan(git.document(start, path), path)) if path else frozenset()
    plans: set[str] = set()
    evaluators: set[str] = set()
    begun_evaluators: set[str] = set()
    for item in turn.agenda.ledger.items:
        plan, known = turn.agenda.plans.get(item.id), turn.state.item(item.id)
        if plan is None or (known.frozen is None and git.entry(start, plan_path(item)) is None):
            continue
        plans.add(plan_path(item))
        if known.status != Status.DONE:
            (evaluators if known.frozen is None else begun_evaluators).update(evaluator_paths(plan))

    def is_frozen(path: str) -> bool:
        if path in plans:
            return changed_rows(turn.base_text(path), turn.text(path), path)
        return lies_below(path, begun_evaluators) or (lies_below(path, evaluators) and path not in asked)

    return is_frozen


def _not_regular(turn: Turn) -> set[str]:
    """Return changed paths below `plans/` and `docs/`, and the loop's documents, that are links and not files."""
    git = turn.session.worktree.git
    documents = [
        c.path for c in turn.facts.changes if c.path.startswith(("plans/", "docs/")) or c.path in OWN_DOCUMENTS
    ]
    entries = {path: git.entry(turn.tree, path) for path in documents}
    return {path for path, entry in entries.items() if entry and not entry.mode.startswith("100")}


def _tell(turn: Turn, found: Sequence[Breach]) -> Turn:
    """Add the breaches that are only told to the turn's facts."""
    held = turn.session.config.rulebook.held(found, Severity.REPORT)
    told = [redact_text(breach.text, known_secrets()) for breach in held]
    return replace(turn, facts=replace(turn.facts, told=(*turn.facts.told, *told)))


def _added_secrets(turn: Turn, path: str) -> str:
    """Say what secrets a path brings that its base does not hold, and on which lines; never what they are."""
    git, known = turn.session.worktree.git, known_secrets()
    if find_secrets(os.fsencode(path), known):
        return "its name holds a secret"
    entry = git.entry(turn.tree, path)
    if entry is None or entry.mode == _SUBMODULE:
        return ""
    old = {secret.value for secret in find_secrets(git.blob(turn.base, path) or b"", known)}
    new = find_secrets(git.blob(turn.tree, path) or b"", known)
    return ", ".join(f"line {secret.line} holds a secret, {secret.kind}" for secret in new if secret.value not in old)


def _take_out(turn: Turn) -> Turn:
    """Restore what crosses a fence; the difference stays in the hub as a patch."""
    links = _not_regular(turn)
    is_frozen = _make_is_frozen(turn)
    git, start = turn.session.worktree.git, turn.session.start
    rows = (row for plan in turn.agenda.plans.values() if plan for row in plan.rows)
    places = search_places(rows, lambda folder: git.entry(start, f"{folder}/__init__.py") is not None)
    shadows = shadowing(git, start, turn.facts.changes, places, turn.bench.is_test)

    def forbidden(path: str) -> tuple[str, str] | None:
        if secrets := _added_secrets(turn, path):
            return "SECRET-COMMITTED", secrets
        if path in links:
            return "FENCE-LINK", "a link where a document should be"
        if path == FINDINGS and (lost := lost_findings(turn.base_text(path), turn.text(path))):
            return "FENCE-FINDING", f"{', '.join(lost)} is gone from it"
        if path in shadows:
            return "FENCE-SHADOW", "shadows a module that evidence is produced with"
        return ("FENCE-FROZEN", "frozen with the criteria of an item") if is_frozen(path) else None

    found = crossing(turn.facts.changes, turn.role, turn.hub, forbidden)
    locked = [change.path for change in turn.facts.changes if change.kind is PathClass.LOCK]
    turn = _tell(turn, [*found, *(breach("LOCK-CHANGED", "asks for other packages", path) for path in locked)])
    crossed = turn.session.config.rulebook.held(found, Severity.RESTORE)
    if not crossed:
        return turn
    paths = [breach.where for breach in crossed]
    patch = git.patch(turn.base, turn.tree, paths)
    (turn.stage / "fences.patch").write_bytes(redact(patch, known_secrets()))
    tree = git.tree_with(turn.tree, git.files(turn.base, paths))
    notes = tuple(redact_text(breach.text, known_secrets()) for breach in crossed)
    facts = replace(turn.facts, tree=tree, changes=_changes(turn, tree), crossed=notes)
    leaked = tuple(note for note, breach in zip(notes, crossed, strict=True) if breach.rule.id == "SECRET-COMMITTED")
    if leaked:
        for ref in git.text("for-each-ref", "--format=%(refname)", f"refs/orchestrator/{turn.id}").split():
            git.run("update-ref", "-d", ref)  # commits of the agent's own, which nobody is to push by accident
    if turn.role.writes_handoff:
        facts = replace(facts, refusals=(*facts.refusals, *leaked))
    return replace(turn, tree=tree, facts=facts)


def _with_refusals(turn: Turn, found: Sequence[Breach]) -> Turn:
    """Add breaches to the turn's facts: those that send it back, and those that are only told."""
    refused = [breach.text for breach in turn.session.config.rulebook.held(found, Severity.REFUSE)]
    turn = _tell(turn, found)
    return replace(turn, facts=replace(turn.facts, refusals=(*turn.facts.refusals, *refused)))


def _check_supervisor(turn: Turn) -> Turn:
    """Hold memory and handoff against the rules; the focus is known afterwards."""
    session = turn.session
    entry, missing = find_new_entry(turn.base_text(MEMORY), turn.text(MEMORY))
    found = [breach("MEMORY-ENTRY", missing, MEMORY)] if missing else []
    if turn.text(HANDOFF) == turn.base_text(HANDOFF):
        found.append(breach("HANDOFF-REWRITTEN", "not rewritten", HANDOFF))
    handoff = parse_handoff(turn.text(HANDOFF), HANDOFF)
    selects = handoff.focus == SELECTION
    ledger_text = standing_items(turn.base_text(LEDGER), turn.text(LEDGER))
    if ledger_text != turn.text(LEDGER):
        turn = replace(turn, tree=session.worktree.git.tree_with(turn.tree, {LEDGER: ledger_text.encode()}))
    try:
        agenda = read_agenda(turn.text, turn.state, session.config)
    except ConfigError as error:
        return _with_refusals(turn, [*found, breach("LEDGER-GRAMMAR", str(error))])
    focus = next((item for item in agenda.candidates if item.id == handoff.focus), None)
    turn = replace(
        turn, handoff=handoff, agenda=agenda, focus=focus, entry=entry, stands_for=SELECTION if selects else ""
    )
    if selects:
        return _settled(_with_refusals(turn, [*found, *check_selection(turn.state.turns)]))
    rows = agenda.open_rows(focus, turn.state) if focus else ()
    bench = turn.bench

    in_rows = {selector for row in rows if row.test for selector in split_test(row.test)[1]}
    commands = {plain_words(text) for row in rows for text in (row.run, row.test) if text}

    @cache
    def collects(selector: str) -> int:
        if selector in in_rows:
            return 1  # the plan's own row: verification collects it, whatever it holds by then
        session.live.step(f"collecting {selector}")
        bench.show(turn.tree)
        return count_collected(bench, [selector], turn.folder / "collect.log")

    context = HandoffContext(
        runnable=[item.id for item in agenda.candidates],
        branch=session.run.branch,
        hub=turn.hub if focus else "",
        findings={finding.id for finding in agenda.findings},
        open_rows=[row.id for row in rows],
        collects=collects,
        repeated=tuple(repeated(turn.state.item(focus.id).turns)) if focus else (),
        last=parse_handoff(turn.base_text(HANDOFF), HANDOFF),
        is_open=lambda command: plain_words(command) in commands,
        stands_still=focus is not None and turn.state.item(focus.id).dwell >= limits_of(focus)[0],
    )
    return _settled(_with_refusals(turn, [*found, *check_handoff(handoff, context)]))


def _settled(turn: Turn) -> Turn:
    """Return the turn with the changes of its tree as the harness left it."""
    changes = turn.facts.changes if turn.tree == turn.facts.tree else _changes(turn, turn.tree)
    return replace(turn, facts=replace(turn.facts, tree=turn.tree, changes=changes))


def check(turn: Turn) -> Turn:
    """Put back what the role may not change, then check what it was to leave."""
    turn = _take_out(turn)
    if turn.role.leaves is Leaving.REVIEW and not turn.text(f"{turn.hub}{REVIEW_FILE}").strip():
        raise TurnFailed(f"{turn.hub}{REVIEW_FILE}: missing or empty; a reviewer's turn leaves its review there")
    return _check_supervisor(turn) if turn.role.writes_handoff else turn
