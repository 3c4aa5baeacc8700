"""Criteria a person approved: shown as a diff, brought into the run as a commit of their own, frozen anew."""

from __future__ import annotations

from dataclasses import asdict, replace

from orchestrator import __version__
from orchestrator.errors import RecordError
from orchestrator.evidence.criteria import evaluator_paths, freeze, lies_below
from orchestrator.git import Git, TreeEntry
from orchestrator.layout import LEDGER, plan_path
from orchestrator.records.ledger import parse_ledger
from orchestrator.records.plan import Plan, Row, RowState, parse_plan
from orchestrator.session import Session

__all__ = ["approved_paths", "bring_in", "start_of"]


def _plan_at(git: Git, commit: str, path: str) -> Plan:
    """Return a plan as a commit has it; an empty one where it has none."""
    return parse_plan(git.document(commit, path), path)


def _rows(plan: Plan) -> list[Row]:
    """Return the rows without their ticks."""
    return [replace(row, state=RowState.OPEN) for row in plan.rows]


def _touched(git: Git, before: str, after: str, *only: str) -> set[str]:
    """Return the paths that commits after `before` changed on the way to `after`."""
    options = ("-z", "-m", "--name-only", "--no-renames", "--format=", *only)
    return set(git.text("log", *options, f"{before}..{after}", "--").split("\0"))


def approved_paths(git: Git, before: str, after: str, path: str) -> dict[str, TreeEntry | None]:
    """Return what decides an item's criteria and differs between two commits, as the later one has it.

    That is the plan at `path`, unless only ticks and prose differ, and every file below what either version of it
    names as evaluator or selects as test.

    Raises
    ------
    RecordError
        The later commit has no such plan, or one that cannot be read.
    """
    plan = _plan_at(git, after, path)
    if not plan.raw:
        raise RecordError(f"{path}: is not in {after[:8]}; commit it first")
    if plan.problems:
        raise RecordError(f"{plan.problems[0]}; correct it first")
    old = _plan_at(git, before, path)
    roots = {*evaluator_paths(plan), *evaluator_paths(old)}
    if (_rows(plan), plan.evaluators) != (_rows(old), old.evaluators):
        roots.add(path)
    touched = _touched(git, before, after)  # what else differs is the run's own work
    differ = (c.path for c in git.diff_tree(before, after) if c.path in touched)
    return git.files(after, (path for path in differ if lies_below(path, roots)))


def start_of(session: Session, item_id: str) -> str:
    """Return what tests of rows are measured with: the run's start, with what a person merged and approved since."""
    approved, git = session.state.item(item_id).criteria_from, session.worktree.git
    base = session.start
    if not approved:
        return base
    paths = _touched(git, base, approved, "--grep=^Approved: ") - {""}
    return git.tree_with(base, git.files(approved, paths)) if paths else base


def bring_in(session: Session, item_id: str, approved: str) -> str:
    """Commit a person's approved criteria onto the run's branch and freeze them; what was done, in a sentence.

    Rows that were verified stay so where neither they nor any evaluator changed. It may be cut short anywhere and
    done again: the commit is made only where it would change something.
    """
    git, worktree = session.worktree.git, session.worktree
    head = worktree.head()
    path = plan_path(parse_ledger(session.read(LEDGER), LEDGER).item(item_id))
    known = session.state.item(item_id)
    before = _plan_at(git, known.turns[-1].commit if known.turns else head, path)
    changes = approved_paths(git, head, approved, path)
    tree = git.tree_with(head, changes)
    plan = _plan_at(git, tree, path)
    frozen = freeze(plan, git, tree)
    same = known.frozen is not None and known.frozen.evaluators == frozen.evaluators
    unchanged = _rows(before) if same else []
    verified = [row.id for row in _rows(plan) if row.id in known.verified and row in unchanged]
    stale = known.frozen is not None and known.frozen != frozen  # another item's approval changed what evaluates it
    if changes or (stale and not {("Focus", item_id), ("Approved", approved)} <= git.trailers(head).items()):
        trailers = {
            "Role": "person",
            "Focus": item_id,
            "Approved": approved,
            "Criteria": ", ".join(verified) or "none",
            "Harness-Version": __version__,
            **({"Frozen": frozen.text} if known.frozen else {}),
        }
        lines = [f"person: criteria of {item_id} approved", "", *(f"{key}: {value}" for key, value in trailers.items())]
        commit = worktree.commit(tree, "\n".join([*lines, ""]), head)
    else:
        commit = head
        worktree.restore(head)  # a kill between the branch and the worktree leaves the worktree behind
    session.journal.append(
        "item.approved",
        {
            "item": item_id,
            "approved": approved,
            "commit": commit,
            "verified": verified,
            "frozen": asdict(frozen) if known.frozen else None,
        },
    )
    return f"criteria of {item_id} are now those of {approved[:8]}; {len(verified)} of its rows stay verified"
