"""Agents by name: the embedded ones, the scripted cast, and any program."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from orchestrator.agents.command import CommandAgent
from orchestrator.agents.protocol import Agent
from orchestrator.config import Config, child_environment
from orchestrator.errors import ConfigError

__all__ = ["EMBEDDED", "check_agent", "make_agent"]

EMBEDDED = "plan"

# The folder that holds the running `orchestrator` package: embedded agents are loaded from there.
_HARNESS_ROOT = Path(__file__).resolve().parent.parent.parent

# `-P` keeps the worktree off the module path: it may hold another version of this package.
_HARNESS_PYTHON = (sys.executable, "-P", "-m")


def check_agent(name: str, config: Config) -> None:
    """Check that an agent of this name can be made.

    Raises
    ------
    ConfigError
        The name is unknown, or `command` is asked for without a command line, or its program does not exist.
    """
    make_agent(name, config, Path())
    program = config.agent_command[0] if name == "command" else sys.executable
    where = str(config.workspace / program) if "/" in program else program
    if "{" not in program and not shutil.which(where, path=child_environment(config, config.workspace)["PATH"]):
        what = "no such program" if "/" in program else "no such program on the PATH"
        raise ConfigError(f"{program}: {what}; install this program, or correct agent_command, which names it")


def make_agent(name: str, config: Config, worktree: Path) -> Agent:
    """Return the agent of this name, working in `worktree`.

    Names are `plan`, `command` and the characters of the cast, with or without `scripted:` before them.
    """
    from orchestrator.agents.scripted import Character  # noqa: PLC0415 -- needed for its names only

    character = name.removeprefix("scripted:")
    embedded = child_environment(config, _HARNESS_ROOT)
    if name == EMBEDDED:
        return CommandAgent(name, (*_HARNESS_PYTHON, "orchestrator.agents.plan", "{request_file}"), embedded)
    if character in {known.value for known in Character}:
        argv = (*_HARNESS_PYTHON, "orchestrator.agents.scripted", character, "{request_file}")
        return CommandAgent(name, argv, embedded)
    if name == "command":
        if not config.agent_command:
            raise ConfigError("agent 'command': give its command line with --agent-command 'prog {prompt_file}'")
        return CommandAgent(name, config.agent_command, child_environment(config, worktree, network=True))
    known_names = ", ".join([EMBEDDED, "command", *Character])
    raise ConfigError(f"unknown agent {name!r}; known are {known_names}")
