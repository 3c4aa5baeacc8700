"""`audit`: the claims in a tree's documents, held against its hubs and its repository."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from orchestrator.arguments import add_workspace, open_workspace
from orchestrator.audit.auditor import Audit, audit_tree
from orchestrator.audit.history import Audited, open_history
from orchestrator.audit.judgement import Fact, Judgement
from orchestrator.audit.trees import Tree
from orchestrator.errors import ConfigError
from orchestrator.records.text import counted, shown
from orchestrator.report.pages import render_page
from orchestrator.report.status import documents_root, read_state

__all__ = ["add_arguments", "run"]

_TOLD = (Judgement.CONTRADICTED, Judgement.DISAGREEMENT)
_SHOWN = (*_TOLD, Judgement.UNVERIFIABLE, Judgement.CONFIRMED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Hold every claim in memory, ledger, summaries and hubs against the artifacts there. "
        "Exit code 1 when something is contradicted."
    )
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="a tree, a hub or a document (default: the last run here)"
    )
    parser.add_argument("--html", type=Path, metavar="OUT", help="write a page with everything")
    add_workspace(parser)


def _audit_path(path: Path) -> Audit:
    only = None if path.is_dir() else path.name
    if only and not path.is_file():
        raise ConfigError(f"{path}: expected a folder or a document; give the root of a tree, a hub or a memory")
    root = (path.parent if only else path).resolve()
    tree = Tree(root, only=only)
    with open_history(root) as history:
        return audit_tree(tree, history, only=only, root=str(path))


def _audit_run(arguments: argparse.Namespace) -> Audit:
    workspace = open_workspace(arguments)
    state = read_state(workspace)
    tree = Tree(documents_root(workspace, state))
    head = f"refs/heads/{state.run.branch}" if state.run else "HEAD"
    with open_history(tree.root, workspace.git, head) as history:
        return audit_tree(tree, history)


def _place(path: str, line: int) -> str:
    return f"{path}:{line}" if line else path


def _fact(fact: Fact) -> str:
    return f"{_place(fact.path, fact.line)}: {fact.text}"


def _line(audited: Audited) -> str:
    judged = audited.judged
    why = f" ({judged.why})" if judged.why else ""
    against = "; ".join(map(_fact, judged.facts))
    return f"{_place(audited.path, audited.line)}: {judged.judgement}: {shown(audited.text, 100)}{why}; {against}"


def _lines(audit: Audit) -> Iterator[str]:
    yield from (_line(each) for judgement in _TOLD for each in audit.claims if each.judged.judgement is judgement)
    yield from (
        f"{_place(each.path, each.line)}: cannot be read: expected {each.expected}, found {each.found}"
        for each in audit.problems
    )
    told = ", ".join(f"{audit.count(judgement)} {judgement}" for judgement in Judgement)
    yield f"{audit.root}: {counted(len(audit.claims), 'claim')}, {counted(audit.hubs, 'hub')}: {told}"


def _plain(audit: Audit) -> dict[str, object]:
    return {
        "root": audit.root,
        "hubs": audit.hubs,
        "counts": {judgement.value: audit.count(judgement) for judgement in Judgement},
        "claims": [
            {"kind": each.kind, "text": each.text, "path": each.path, "line": each.line, **asdict(each.judged)}
            for each in audit.claims
        ],
        "problems": [asdict(problem) for problem in audit.problems],
    }


def _write(text: str) -> None:
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")


def run(arguments: argparse.Namespace) -> int:
    """Tell what is contradicted, what the artifacts disagree on, and how many claims there are.

    Returns
    -------
    int
        1 when something is contradicted, 0 when nothing is.
    """
    audits = [_audit_path(path) for path in arguments.paths] or [_audit_run(arguments)]
    contradicted = sum(audit.count(Judgement.CONTRADICTED) for audit in audits)
    if arguments.html:
        page = render_page("audit.html", audits=audits, judgements=_SHOWN, contradicted=contradicted)
        arguments.html.write_text(page, encoding="utf-8")
    if arguments.json:
        _write(json.dumps([_plain(audit) for audit in audits], indent=1, ensure_ascii=False))
    else:
        _write("\n".join(line for audit in audits for line in _lines(audit)))
    return int(contradicted > 0)
