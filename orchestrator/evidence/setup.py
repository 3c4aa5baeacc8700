"""The set-up command of a workspace: what a checkout needs before anything can be measured in it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orchestrator.evidence.commands import resolve_command
from orchestrator.process import Limits, last_line, run_child
from orchestrator.sandbox import Sandbox

__all__ = ["set_up"]


def set_up(
    command: Sequence[str],
    root: Path,
    environment: Mapping[str, str],
    log: Path,
    *,
    sandbox: Sandbox,
    seconds: float,
    should_stop: Callable[[], bool] | None = None,
) -> str:
    """Run the command in the checkout at `root`; why it failed, empty when it did not or when there is none."""
    if not command:
        return ""
    argv, extra = resolve_command(command, {})
    env = {**environment, **extra}
    log.parent.mkdir(parents=True, exist_ok=True)
    result = run_child(
        sandbox.opened(write=[root]).wrap(argv, root, env),
        cwd=root,
        env=env,
        log=log,
        limits=Limits(wall_s=seconds),
        should_stop=should_stop,
    )
    how = last_line(log) or f"{result.ending.value}, code {result.code}"
    return "" if result.ok else f"set-up `{shlex.join(command)}` failed: {how}"
