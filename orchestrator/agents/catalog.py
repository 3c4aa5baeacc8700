"""Agents by name: the embedded ones, the scripted cast, and any program."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from orchestrator.agents.command import CommandAgent
from orchestrator.agents.protocol import Agent
from orchestrator.config import Config, child_environment
from orchestrator.errors import ConfigError
from orchestrator.sandbox import NO_SANDBOX, Sandbox

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
    make_agent(name, config, Path(), NO_SANDBOX)
    program = config.agent_command[0] if name == "command" else sys.executable
    where = str(config.workspace / program) if "/" in program else program
    if "{" not in program and not shutil.which(where, path=child_environment(config, config.workspace)["PATH"]):
        what = "no such program" if "/" in program else "no such program on the PATH"
        raise ConfigError(f"{program}: {what}; install this program, or correct agent_command, which names it")


def make_agent(name: str, config: Config, worktree: Path, sandbox: Sandbox) -> Agent:
    """Return the agent of this name, working in `worktree` behind walls that are opened for what it needs.

    Names are `plan`, `command` and the characters of the cast, with or without `scripted:` before them. The files that
    a command line names can be read, and only `command` may be given a network.
    """
    sandbox = sandbox.opened(write=[worktree])
    from orchestrator.agents.scripted import Character  # noqa: PLC0415 -- needed for its names only

    character = name.removeprefix("scripted:")
    embedded = child_environment(config, _HARNESS_ROOT)
    if name == EMBEDDED:
        return CommandAgent(name, (*_HARNESS_PYTHON, "orchestrator.agents.plan", "{request_file}"), embedded, sandbox)
    if character in {known.value for known in Character}:
        argv = (*_HARNESS_PYTHON, "orchestrator.agents.scripted", character, "{request_file}")
        return CommandAgent(name, argv, embedded, sandbox)
    if name == "command":
        if not config.agent_command:
            raise ConfigError("agent 'command': give its command line with --agent-command 'prog {prompt_file}'")
        env = child_environment(config, worktree, network=True)
        words = (shutil.which(config.agent_command[0], path=env["PATH"]) or "", *config.agent_command)
        files = [path for path in map(Path, words) if path.is_absolute() and path.is_file()]
        sandbox = sandbox.opened(read=files, write=config.sandbox_write, network=config.network == "full")
        return CommandAgent(name, config.agent_command, env, sandbox)
    known_names = ", ".join([EMBEDDED, "command", *Character])
    raise ConfigError(f"unknown agent {name!r}; known are {known_names}")
