"""Command-line arguments, read with the standard library only; a mistyped flag is an error."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.config import SETTINGS, Config, resolve_config
from orchestrator.workspace import Workspace, find_workspace

__all__ = ["LoopCall", "add_workspace", "open_workspace", "read_loop_arguments"]

_EXIT_CODES = """exit codes:
  0 everything runnable is done and at least one item verified, or nothing to do
  1 expected failure   2 usage or configuration   10 waiting   11 blocked on a person
  12 stalled   13 a limit is reached   14 agent failed   15 verification environment broken
  70 bug   75 another loop holds this repository   130 stopped by a person
"""


@dataclass(frozen=True)
class LoopCall:
    """One call of the loop, with its settings resolved."""

    config: Config
    workspace: Workspace
    fresh: bool
    resume: bool
    as_json: bool
    dry_run: bool
    show_config: bool

    @property
    def shows_only(self) -> bool:
        """Whether the call changes nothing."""
        return self.dry_run or self.show_config


def add_workspace(parser: argparse.ArgumentParser) -> None:
    """Add the two options that every command has."""
    parser.add_argument("--workspace", type=Path, default=Path(), metavar="DIR", help="repository (default: here)")
    parser.add_argument("--json", action="store_true", help="machine-readable result on stdout")


def open_workspace(arguments: argparse.Namespace) -> Workspace:
    """Return the repository the arguments name."""
    return find_workspace(arguments.workspace)


def _loop_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.loop",
        description="Run a supervisor and an engineer in alternation on this repository's docs/fix_plan.md. The work "
        "happens on branch loop/<run> in .orchestrator/; your own files are not touched.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_workspace(parser)
    parser.add_argument("--agent", metavar="NAME", help="agent for both roles: plan, command, or one of the cast")
    parser.add_argument("--focus", metavar="ID", help="work on this item only")
    parser.add_argument("--fresh", action="store_true", help="start a new run instead of going on with the last")
    parser.add_argument("--resume", action="store_true", help="without a journal: go on with a run that was fetched")
    parser.add_argument("--dry-run", action="store_true", help="show what would be worked on, and change nothing")
    parser.add_argument("--show-config", action="store_true", help="show every setting with its origin")
    for setting in SETTINGS:
        if setting.metavar:
            flag = "--" + setting.key.replace("_", "-")
            shown = "" if setting.default in {None, ()} else f" (default: {setting.default})"
            parser.add_argument(flag, metavar=setting.metavar, help=setting.purpose + shown)
    return parser


def _from_here(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command with a program given by a relative path found from here: it runs in another folder."""
    program = Path(argv[0]).absolute() if argv and "/" in argv[0] else None
    return (str(program), *argv[1:]) if program and program.is_file() else argv


def read_loop_arguments(argv: Sequence[str] | None) -> LoopCall:
    """Read the loop's arguments and resolve its settings."""
    arguments = _loop_parser().parse_args(argv)
    flags = {setting.key: getattr(arguments, setting.key, None) for setting in SETTINGS}
    named = arguments.supervisor or arguments.engineer
    agent = arguments.agent or ("command" if arguments.agent_command and not named else None)
    for role in ("supervisor", "engineer"):
        flags[role] = flags[role] or agent
    workspace = open_workspace(arguments)
    config = resolve_config(workspace.root, flags, arguments.focus)
    return LoopCall(
        config=replace(config, agent_command=_from_here(config.agent_command)),
        workspace=workspace,
        fresh=arguments.fresh,
        resume=arguments.resume,
        as_json=arguments.json,
        dry_run=arguments.dry_run,
        show_config=arguments.show_config,
    )
