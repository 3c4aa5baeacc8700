"""Any program as an agent: the prompt as a file and on standard input, limits, and a log."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.errors import ConfigError
from orchestrator.facts import AgentOutcome, TurnRequest
from orchestrator.process import Limits, run_child
from orchestrator.sandbox import NO_SANDBOX, Sandbox

__all__ = ["CommandAgent"]

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_VALUES: Mapping[str, Callable[[TurnRequest], str]] = {
    "prompt_file": lambda request: str(request.prompt_path),
    "request_file": lambda request: str(request.request_path),
    "role": lambda request: request.role.value,
    "worktree": lambda request: str(request.worktree),
}


@dataclass(frozen=True)
class CommandAgent:
    """A command line that is run in the worktree, once a turn.

    Attributes
    ----------
    name
        How the agent is called in messages and the journal.
    argv_template
        Program and arguments. `{prompt_file}`, `{request_file}`, `{role}` and `{worktree}` are filled in,
        anywhere in an argument; other braces stay as they are, unless they look like a placeholder.
    env
        The complete environment of the program.
    sandbox
        The walls it runs behind; prompt and request can be read there.

    Raises
    ------
    ConfigError
        If there is no program, or a placeholder is unknown.
    """

    name: str
    argv_template: tuple[str, ...]
    env: Mapping[str, str]
    sandbox: Sandbox = NO_SANDBOX

    def __post_init__(self) -> None:
        if not self.argv_template:
            raise ConfigError(
                f"agent {self.name}: expected a command line, came nothing; give one, "
                "such as --agent-command 'prog {prompt_file}'"
            )
        known = ", ".join(f"{{{name}}}" for name in _VALUES)
        for argument in self.argv_template:
            for name in _PLACEHOLDER.findall(argument):
                if name not in _VALUES:
                    raise ConfigError(
                        f"agent {self.name}: expected one of {known} in {argument!r}, came {{{name}}}; "
                        "correct it, or put what needs such braces into a script"
                    )

    def act(self, request: TurnRequest, limits: Limits, should_stop: Callable[[], bool] | None = None) -> AgentOutcome:
        """Run the program once; see `Agent.act`.

        Raises
        ------
        ProcessError
            If the log cannot be written, or a process outlives being killed.
        """
        argv = [_PLACEHOLDER.sub(lambda match: _VALUES[match[1]](request), argument) for argument in self.argv_template]
        sandbox = self.sandbox.opened(read=[request.prompt_path, request.request_path])
        result = run_child(
            sandbox.wrap(argv, request.worktree, self.env),
            cwd=request.worktree,
            env=self.env,
            log=request.log_path,
            limits=limits,
            stdin=request.prompt_path.read_bytes(),
            should_stop=should_stop,
        )
        return AgentOutcome(result.ending, result.code, result.seconds, result.log, result.log_bytes, result.redacted)
