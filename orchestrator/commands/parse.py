"""`python -m orchestrator parse`: read one document and show its records, with what could not be read."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

from orchestrator.errors import ConfigError
from orchestrator.records.findings import Findings, parse_findings
from orchestrator.records.foreign.document import Foreign, Piece
from orchestrator.records.foreign.entries import read_memory, read_summary
from orchestrator.records.foreign.handoffs import read_handoff
from orchestrator.records.foreign.items import read_findings, read_ledger, read_plan
from orchestrator.records.foreign.states import read_state
from orchestrator.records.handoff import Handoff, parse_handoff
from orchestrator.records.hub import Manifest, parse_manifest
from orchestrator.records.ledger import Ledger, Priority, parse_ledger
from orchestrator.records.memory import Memory, parse_memory
from orchestrator.records.plan import Plan, parse_plan
from orchestrator.records.summary import Summary, parse_summary
from orchestrator.records.text import decode, shown

__all__ = ["add_arguments", "run"]

_TOLD = 20

Document = Findings | Handoff | Ledger | Manifest | Memory | Plan | Summary


@dataclass(frozen=True)
class _Kind:
    """How a kind of document is read, where its records are, what a listing shows of each; who reads foreign ones."""

    parse: Callable[[str, str], Document] | None = None
    records: str = ""
    columns: tuple[str, ...] = ()
    foreign: Callable[[str, str], Foreign] | None = None


_KINDS = {
    "memory": _Kind(
        parse_memory, "entries", ("line", "timestamp", "focus", "dwell", "state", "next_action"), read_memory
    ),
    "handoff": _Kind(parse_handoff, "do_now", ("line", "kind", "path", "symbol", "command", "text"), read_handoff),
    "ledger": _Kind(parse_ledger, "items", ("line", "id", "priority", "status", "title"), read_ledger),
    "plan": _Kind(parse_plan, "rows", ("line", "id", "state", "text"), read_plan),
    "findings": _Kind(parse_findings, "findings", ("line", "id", "date", "status", "synopsis"), read_findings),
    "summary": _Kind(parse_summary, "turns", ("line", "stamp", "measured", "artifacts"), read_summary),
    "hub": _Kind(parse_manifest, "files", ("path", "size", "by", "row")),
    "state": _Kind(foreign=read_state),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Read one document of the loop, or of another loop. Exit code 1 when the reading has something to report."
    )
    parser.add_argument("kind", choices=list(_KINDS), help="what kind of document it is")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="everything that was read, as JSON")
    parser.add_argument(
        "--dialect",
        choices=["ours", "foreign"],
        help="one reading only (default: ours, and foreign where ours has problems)",
    )


def run(args: argparse.Namespace) -> int:
    """Show the document on stdout, its problems too with ``--json`` and on stderr without.

    Returns
    -------
    int
        0 when everything was read, 1 when there are problems.

    Raises
    ------
    ConfigError
        The file cannot be opened.
    """
    try:
        data = args.file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{args.file}: expected a file that can be read, found: {error.strerror}") from error
    kind = _KINDS[args.kind]
    text, undecoded = decode(data, str(args.file))
    path = str(args.file)
    ours = kind.parse(text, path) if kind.parse and args.dialect != "foreign" else None
    problems = (*undecoded, *(ours.problems if ours else ()))
    foreign = None
    unread = ours is None or problems or not getattr(ours, kind.records)
    if kind.foreign and args.dialect != "ours" and unread:
        foreign = kind.foreign(text, path)
        foreign = None if ours and not foreign.pieces else foreign
    if ours is None and foreign is None:
        raise ConfigError(f"--dialect {args.dialect}: expected a dialect of a {args.kind}, it has only the other one")
    theirs = (*foreign.problems, *(each.as_problem(path) for each in foreign.contradictions)) if foreign else ()
    said = problems if ours and problems else (*problems, *theirs)
    if args.json:
        document = _fields(ours) | ({"foreign": _fields(foreign)} if foreign else {})
        shown_as = {"kind": args.kind, **document, "path": path, "problems": _plain(said)}
        _write(json.dumps(shown_as, indent=2, ensure_ascii=False))
    else:
        told: tuple[object, ...] = said
        for record in foreign.pieces if foreign else getattr(ours, kind.records):
            cells = _piece_cells(record) if foreign else [getattr(record, column) for column in kind.columns]
            _write("  ".join(map(_cell, cells)))
        if foreign and ours:
            found = f"{len(problems)} problems" if problems else "nothing"
            more = f"{path}: {found} in our form (--dialect ours lists all); read as a foreign {args.kind}:"
            told = (*problems[:_TOLD], more, *theirs)
        sys.stderr.write("".join(f"{line}\n" for line in told))
    return 1 if said else 0


def _piece_cells(piece: Piece) -> list[object]:
    states = piece.values("state") or piece.values("status")
    named = (piece.ids or (piece.heading,), piece.values("dwell"), states, piece.values("next_action")[-1:])
    return [piece.line, piece.stamp or None, *(", ".join(values) or None for values in named)]


def _fields(record: object) -> dict[str, object]:
    """Fields of a record by name, without the raw text: that is the file itself."""
    if not is_dataclass(record):
        return {}
    return {field.name: _plain(getattr(record, field.name)) for field in fields(record) if field.name != "raw"}


def _plain(value: object) -> object:
    if isinstance(value, Priority):
        return value.label
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return _fields(value) if is_dataclass(value) else value


def _cell(value: object) -> str:
    plain = _plain(value)
    return shown(plain, 100)[1:-1] if isinstance(plain, str) else "-" if plain is None else str(plain)


def _write(text: str) -> None:
    # A byte that is not UTF-8 became a lone surrogate: shown escaped, as a terminal cannot take it.
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
