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
from orchestrator.records.handoff import Handoff, parse_handoff
from orchestrator.records.hub import Manifest, parse_manifest
from orchestrator.records.ledger import Ledger, Priority, parse_ledger
from orchestrator.records.memory import Memory, parse_memory
from orchestrator.records.plan import Plan, parse_plan
from orchestrator.records.summary import Summary, parse_summary
from orchestrator.records.text import Problem, decode, shown

__all__ = ["add_arguments", "run"]

Document = Findings | Handoff | Ledger | Manifest | Memory | Plan | Summary


@dataclass(frozen=True)
class _Kind:
    """How a kind of document is read, where its records are, and what a listing shows of each."""

    parse: Callable[[str, str], Document]
    records: str
    columns: tuple[str, ...]


_KINDS = {
    "memory": _Kind(parse_memory, "entries", ("line", "timestamp", "focus", "dwell", "state", "next_action")),
    "handoff": _Kind(parse_handoff, "do_now", ("line", "kind", "path", "symbol", "command", "text")),
    "ledger": _Kind(parse_ledger, "items", ("line", "id", "priority", "status", "title")),
    "plan": _Kind(parse_plan, "rows", ("line", "id", "state", "text")),
    "findings": _Kind(parse_findings, "findings", ("line", "id", "date", "status", "synopsis")),
    "summary": _Kind(parse_summary, "turns", ("line", "stamp", "measured", "artifacts")),
    "hub": _Kind(parse_manifest, "files", ("path", "size", "by", "row")),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = "Read one document of the loop. Exit code 1 when something in it could not be read."
    parser.add_argument("kind", choices=list(_KINDS), help="what kind of document it is")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="everything that was read, as JSON")


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
    document = kind.parse(text, str(args.file))
    problems = (*undecoded, *document.problems)
    if args.json:
        _write(json.dumps(_as_json(args.kind, args.file, document, problems), indent=2, ensure_ascii=False))
    else:
        for record in getattr(document, kind.records):
            _write("  ".join(_cell(getattr(record, column)) for column in kind.columns))
        sys.stderr.write("".join(f"{problem}\n" for problem in problems))
    return 1 if problems else 0


def _as_json(kind: str, path: Path, document: Document, problems: tuple[Problem, ...]) -> dict[str, object]:
    told = [{name: getattr(p, name) for name in ("path", "line", "expected", "found")} for p in problems]
    return {"kind": kind, **_fields(document), "path": str(path), "problems": told}


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
