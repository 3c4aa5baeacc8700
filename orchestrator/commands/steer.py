"""`stop`, `pause`, `block`, `clear`, `reopen`, `prioritise`, `raise-budget`: what a person may ask of a loop.

Each leaves one request. A loop that runs enters it in the journal after the turn under way; without one, it is
entered when the next loop starts.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.agenda import read_agenda
from orchestrator.arguments import add_workspace, open_workspace
from orchestrator.config import resolve_config
from orchestrator.errors import ConfigError
from orchestrator.inbox import leave_request, read_requests, tell_request
from orchestrator.journal import Event
from orchestrator.lock import read_holder
from orchestrator.records.items import Priority, Status
from orchestrator.report.status import documents_reader, read_state
from orchestrator.state import fold
from orchestrator.workspace import Workspace, find_workspace

__all__ = ["add_arguments", "ask", "find_loop", "run"]

_STUCK = frozenset({Status.BLOCKED, Status.BLOCKED_ESCALATION})
_CLOSED = _STUCK | {Status.WAITING, Status.DONE, Status.ARCHIVED}


@dataclass(frozen=True)
class _Order:
    """One command: what it declares, which statuses of its item it applies to, what goes into the request."""

    declare: Callable[[argparse.ArgumentParser], object]
    fields: tuple[str, ...] = ()
    applies_to: frozenset[Status] = frozenset(Status)
    needs_loop: bool = False


def _nothing(_parser: argparse.ArgumentParser) -> None:
    pass


def _budget(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--iterations", type=int, default=0, metavar="N", help="so many iterations more")
    parser.add_argument("--minutes", type=float, default=0.0, metavar="M", help="so many minutes more")


def _level(parser: argparse.ArgumentParser) -> None:
    labels = [priority.label for priority in reversed(Priority)]
    parser.add_argument("level", choices=labels, type=str.capitalize, metavar="LEVEL", help=", ".join(labels))


def _pause(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--off", action="store_true", help="let it go on")


_ORDERS = {
    "stop": _Order(_nothing, needs_loop=True),
    "pause": _Order(_pause, ("off",)),
    "raise-budget": _Order(_budget, ("iterations", "minutes"), needs_loop=True),
    "block": _Order(_nothing, ("item",), frozenset(Status) - _STUCK),
    "clear": _Order(_nothing, ("item",), _STUCK),
    "reopen": _Order(_nothing, ("item",), _CLOSED - {Status.BLOCKED_ESCALATION}),
    "prioritise": _Order(_level, ("item", "level")),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command whose name ends the parser's."""
    order = _ORDERS[parser.prog.rpartition(" ")[2]]
    if "item" in order.fields:
        parser.add_argument("item", metavar="ID", help="item of docs/fix_plan.md")
    order.declare(parser)
    parser.add_argument("--note", default="", metavar="WHY", help="kept in the journal and shown in the ledger")
    add_workspace(parser)


def find_loop(arguments: argparse.Namespace) -> tuple[Workspace, bool]:
    """Return where the loop of this repository was started, and whether one runs now.

    A loop that was started in another worktree of the repository listens there.
    """
    workspace = open_workspace(arguments)
    holder = read_holder(workspace.lock_path)
    started_in = holder.get("workspace")
    return (find_workspace(Path(started_in)) if isinstance(started_in, str) else workspace), isinstance(started_in, str)


def ask(workspace: Workspace, arguments: argparse.Namespace, *, running: bool, **request: object) -> int:
    """Leave the request and say when it takes effect."""
    workspace.make_home()
    request_id = leave_request(workspace.home, request)
    when = "after the turn under way" if running else "when the loop starts next"
    said = f"asked: {tell_request(request)}; it takes effect {when}"
    sys.stdout.write((json.dumps({"id": request_id, **request, "running": running}) if arguments.json else said) + "\n")
    return 0


def _check_item(workspace: Workspace, order: _Order, name: str, item_id: str) -> None:
    state = read_state(workspace)
    asked = [Event(0, "", kind, data) for kind, data in read_requests(workspace.home, state.taken)]
    state = fold(asked, state)  # as it will be when this request is heard
    config = resolve_config(workspace.root, {})
    with workspace.git.keeping_reader() as git:
        ledger = read_agenda(documents_reader(workspace, state, git), state, config).ledger
    found = next((item for item in ledger.items if item.id == item_id), None)
    if found is None:
        raise ConfigError(f"{item_id}: not in the ledger; known are {', '.join(item.id for item in ledger.items)}")
    if found.status not in order.applies_to:
        fit = ", ".join(status.value for status in Status if status in order.applies_to)
        raise ConfigError(f"{name} {item_id}: its status is {found.status.value}; `{name}` is for items that are {fit}")


def run(arguments: argparse.Namespace) -> int:
    """Check the request and leave it.

    Raises
    ------
    ConfigError
        There is no such item, its status does not fit, or no loop runs that could answer.
    """
    name, given = arguments.command, vars(arguments)
    order = _ORDERS[name]
    workspace, running = find_loop(arguments)
    if order.needs_loop and not running:
        cure = "nothing to stop" if name == "stop" else "give the next start --iterations or --max-minutes"
        sys.stdout.write(f"no loop is running on this repository; {cure}\n")
        return 0 if name == "stop" else 1
    fields: dict[str, Any] = {key: given[key] for key in order.fields}
    if name == "raise-budget":
        iterations, minutes = fields["iterations"], fields["minutes"]
        if not (iterations >= 0 and 0 <= minutes < float("inf") and iterations + minutes > 0):
            raise ConfigError("raise-budget: expected --iterations N or --minutes M above 0 and finite; give one")
    if name == "block" and not arguments.note:
        raise ConfigError("block: expected the reason, came none; give it with --note")
    if "item" in fields:
        _check_item(workspace, order, name, fields["item"])
    return ask(
        workspace, arguments, running=running, kind=name, **fields, note=arguments.note or f"by {getpass.getuser()}"
    )
