"""Steps collect and check: from whatever the agent left to tree T, on which everything is measured."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.agenda import read_agenda
from orchestrator.evidence.criteria import evaluator_paths
from orchestrator.evidence.rows import selectors_of
from orchestrator.evidence.testing import count_collected
from orchestrator.facts import PathChange
from orchestrator.layout import HANDOFF, LEDGER, MEMORY, plan_path
from orchestrator.policy.closure import open_rows
from orchestrator.policy.fences import classify, crossing
from orchestrator.policy.handoff import HandoffContext, check_handoff
from orchestrator.records.handoff import parse_handoff
from orchestrator.records.ledger import Status
from orchestrator.steps.base import Turn
from orchestrator.steps.bench import make_bench
from orchestrator.submissions import changed_rows, find_new_entry, standing_items

__all__ = ["check", "collect"]


def _changes(turn: Turn, tree: str) -> tuple[PathChange, ...]:
    config = turn.session.config
    return tuple(
        PathChange(change.path, change.status, classify(change.path, tests=config.tests, docs=config.docs))
        for change in turn.session.worktree.git.diff_tree(turn.base, tree)
    )


def collect(turn: Turn) -> Turn:
    """Turn the worktree into a tree; commits the agent made are folded into the turn."""
    worktree = turn.session.worktree
    worktree.fold_commits(turn.base, turn.id)
    tree = worktree.write_tree()
    return replace(turn, tree=tree, facts=replace(turn.facts, tree=tree, changes=_changes(turn, tree)))


def _is_frozen(turn: Turn, path: str) -> bool:
    """Whether a path decides criteria that are fixed.

    Rows are fixed from the start of the run, or from the start of work where an agent wrote the plan. So are
    evaluators in a plan's own folder; others are free until work on the item starts, and again when it is done.
    """
    for item in turn.agenda.ledger.items:
        plan = turn.agenda.plans.get(item.id)
        if plan is None:
            continue
        known = turn.state.item(item.id)
        begun = known.frozen is not None
        from_start = turn.session.worktree.git.blob(turn.session.run.base, plan_path(item)) is not None
        if path == plan_path(item):
            return (begun or from_start) and changed_rows(turn.base_text(path), turn.text(path), path)
        fixed = (begun and known.status != Status.DONE) or (from_start and path.startswith(f"plans/active/{item.id}/"))
        if fixed and any(path == root or path.startswith(f"{root}/") for root in evaluator_paths(plan)):
            return True
    return False


def _take_out(turn: Turn) -> Turn:
    """Restore what crosses a fence; the difference stays in the hub as a patch."""
    hub = turn.hub if turn.focus else ""
    crossed = crossing(turn.facts.changes, turn.role, hub, lambda path: _is_frozen(turn, path))
    if not crossed:
        return turn
    worktree = turn.session.worktree
    paths = [change.path for change, _ in crossed]
    patch = worktree.git.run("diff", "--binary", "--no-renames", turn.base, turn.tree, "--", *paths)
    (turn.stage / "fences.patch").write_bytes(patch)
    before = worktree.git.ls_tree(turn.base)
    tree = worktree.git.tree_with(turn.tree, {path: before.get(path) for path in paths})
    worktree.restore(tree)
    notes = tuple(f"{change.path} was put back ({why}); the change is in fences.patch" for change, why in crossed)
    facts = replace(turn.facts, tree=tree, changes=_changes(turn, tree), crossed=notes)
    return replace(turn, tree=tree, facts=facts)


def _check_supervisor(turn: Turn) -> Turn:
    """Hold memory and handoff against the rules; the focus is known afterwards."""
    session = turn.session
    found = find_new_entry(turn.base_text(MEMORY), turn.text(MEMORY))
    refusals = [*turn.facts.refusals, *found.refusals]
    if turn.text(HANDOFF) == turn.base_text(HANDOFF):
        refusals.append(f"{HANDOFF}: not rewritten; every supervisor turn writes its own handoff")
    handoff = parse_handoff(turn.text(HANDOFF), HANDOFF)
    ledger_text = standing_items(turn.base_text(LEDGER), turn.text(LEDGER))
    if ledger_text != turn.text(LEDGER):
        (session.worktree.root / LEDGER).write_text(ledger_text, encoding="utf-8")
    agenda = read_agenda(session.worktree.root, turn.state, session.config)
    focus = next((item for item in agenda.candidates if item.id == handoff.focus), None)
    turn = replace(
        turn, handoff=handoff, agenda=agenda, focus=focus, entry=found.entry, tree=session.worktree.write_tree()
    )
    phase = agenda.phase(focus, turn.state) if focus else None
    rows = open_rows(phase, turn.state.item(focus.id).verified) if phase and focus else ()
    bench = make_bench(turn)

    in_rows = {selector for row in rows if row.test for selector in selectors_of(row.test)}

    def collects(selector: str) -> int:
        if selector in in_rows:
            return 1  # the plan's own row: verification collects it, whatever it holds by then
        session.live.step(f"collecting {selector}")
        bench.checkout.show(turn.tree)
        return count_collected(bench, [selector], turn.folder / "collect.log")

    context = HandoffContext(
        runnable=[item.id for item in agenda.candidates],
        branch=session.run.branch,
        hub=turn.hub if focus else "",
        findings={finding.id for finding in agenda.findings},
        open_rows=[row.id for row in rows],
        collects=collects,
    )
    refusals += check_handoff(handoff, context)
    facts = replace(turn.facts, tree=turn.tree, changes=_changes(turn, turn.tree), refusals=tuple(refusals))
    return replace(turn, facts=facts)


def check(turn: Turn) -> Turn:
    """Put back what the role may not change, then check what it was to leave."""
    turn = _take_out(turn)
    return _check_supervisor(turn) if turn.role.hands_off else turn
