"""The branch a run is kept in step with: fetched and merged between two iterations, where a person asked for it."""

from __future__ import annotations

from orchestrator import __version__
from orchestrator.config import child_environment
from orchestrator.errors import ExitCode, GitError
from orchestrator.evidence.criteria import freeze
from orchestrator.layout import LEDGER, plan_path
from orchestrator.policy.ending import Ending
from orchestrator.records.ledger import Status, parse_ledger
from orchestrator.records.plan import parse_plan
from orchestrator.session import Session

__all__ = ["keep_in_step"]

_SHOWN = 5


def keep_in_step(session: Session) -> Ending | None:
    """Bring in what `sync:` names; an ending when a person has to do it, and then nothing is changed.

    What cannot be fetched is told and left for the next iteration. It may be cut short anywhere and done again: the
    merge is made only where the run does not have the commit yet.
    """
    source = session.config.sync
    if not source or session.state.open_handoff:
        return None
    theirs = _find(session, source)
    git, head, known = session.worktree.git, session.worktree.head(), session.start
    if theirs is None or theirs == known or git.is_ancestor(theirs, session.run.base):
        return None
    if git.is_ancestor(theirs, head):
        session.journal.append("base.synced", {"source": source, "theirs": theirs, "commit": head})
        return None
    tree, conflicts = git.merge_tree(head, theirs)
    if conflicts:
        return _for_a_person(session, f"{source} and the run both changed {_list(conflicts)}")
    moved = _moved_criteria(session, tree)
    if moved:
        return _for_a_person(session, f"{source} changes criteria of {_list(moved)}; `approve` them first", merge=False)
    trailers = f"Role: person\nRun: {session.run.name}\nSynced: {theirs}\nHarness-Version: {__version__}\n"
    message = f"merge {source} at {theirs[:8]} into {session.run.branch}\n\n{trailers}"
    commit = session.worktree.commit(tree, message, head, theirs)
    session.journal.append("base.synced", {"source": source, "theirs": theirs, "commit": commit})
    session.live.fact(f"merged {source} at {theirs[:8]}")
    return None


def _find(session: Session, source: str) -> str | None:
    """Return the commit of a local branch, or of a remote's after fetching it; None when there is none now."""
    git, (remote, _, branch) = session.worktree.git, source.partition("/")
    if not branch or remote not in git.text("remote").split("\n"):
        return git.rev(f"refs/heads/{source}")
    kept = f"refs/orchestrator/sync/{source}"
    network = child_environment(session.config, session.worktree.root, network=True)
    try:
        refspec = f"+refs/heads/{branch}:{kept}"
        git.run("fetch", "-q", "--no-tags", "--no-recurse-submodules", remote, refspec, env=network)
    except GitError as error:
        if session.announced.get(source) != str(error):
            session.live.fact(f"{source} could not be fetched, the run goes on without it: {error}")
        session.announced[source] = str(error)
        return None
    session.announced.pop(source, None)
    return git.rev(kept)


def _moved_criteria(session: Session, tree: str) -> list[str]:
    """Return the items at work whose frozen criteria a tree does not have."""
    git, moved = session.worktree.git, []
    for item in parse_ledger(session.read(LEDGER)).items:
        known = session.state.item(item.id)
        if known.frozen and known.status != Status.DONE:
            path = plan_path(item)
            if freeze(parse_plan(git.document(tree, path), path), git, tree) != known.frozen:
                moved.append(item.id)
    return moved


def _for_a_person(session: Session, why: str, *, merge: bool = True) -> Ending:
    """Return the ending of a run that cannot be kept in step without a person."""
    cure = f"; merge it in {session.worktree.root} and commit, then start again" if merge else ""
    return Ending(ExitCode.BLOCKED, f"blocked on a person: {why}{cure}; nothing was changed")


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
