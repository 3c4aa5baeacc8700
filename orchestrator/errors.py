"""The harness's errors: each message says what was expected, what came, and what to do next."""

from __future__ import annotations

import errno
import os
from enum import IntEnum

__all__ = [
    "ConfigError",
    "EvidenceError",
    "ExitCode",
    "GitError",
    "JournalError",
    "LockError",
    "OrchestratorError",
    "ProcessError",
    "RecordError",
    "WorkspaceError",
    "cure_of",
    "is_shortage",
]

_CURES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space or raise the quota",
    errno.EROFS: "make it writable, or work in a folder that is",
    errno.EACCES: "give this user the right to write there, or work in a folder of its own",
    errno.EPERM: "give this user the right to write there, or work in a folder of its own",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "end what holds so many files open",
    errno.ENOMEM: "free some memory",
    errno.EAGAIN: "raise the limit of processes (`ulimit -u`)",
    errno.EIO: "look after the disk",
}
_SHORTAGES = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EIO}


class ExitCode(IntEnum):
    """Exit codes of the loop and of every command."""

    DONE = 0
    FAILURE = 1
    USAGE = 2
    WAITING = 10
    BLOCKED = 11
    STALLED = 12
    LIMIT = 13
    AGENT_FAILED = 14
    ENVIRONMENT = 15
    BUG = 70
    LOCKED = 75
    INTERRUPTED = 130


class OrchestratorError(Exception):
    """Anything the harness can foresee; `exit_code` is what the command line returns for it."""

    exit_code = ExitCode.FAILURE


class ConfigError(OrchestratorError):
    """A flag, `orchestration.yaml` or an environment variable cannot be used as it stands."""

    exit_code = ExitCode.USAGE


class RecordError(OrchestratorError):
    """A document of the loop cannot be read or would be rendered wrongly."""


class WorkspaceError(OrchestratorError):
    """The repository or `.orchestrator/` is not in a state the loop can start from."""


class GitError(OrchestratorError):
    """git ended with a code that was not expected, or ran out of time."""


class ProcessError(OrchestratorError):
    """A child process could not be handled."""


class EvidenceError(OrchestratorError):
    """The verification environment itself is broken: nothing measured there would count."""

    exit_code = ExitCode.ENVIRONMENT


class JournalError(OrchestratorError):
    """The journal is damaged; the message names path and line and where the backup lies."""


class LockError(OrchestratorError):
    """Another loop holds this repository."""

    exit_code = ExitCode.LOCKED


def cure_of(error: Exception) -> str:
    """Return what to do about an error of the machine, told by its name in anybody's message; or nothing."""
    cure = next((cure for number, cure in _CURES.items() if os.strerror(number) in str(error)), "")
    return f"; {cure}, then start again" if cure else ""


def is_shortage(error: Exception) -> bool:
    """Whether the machine lacks something just now, so that whoever asked for it did nothing wrong."""
    return isinstance(error, OSError) and error.errno in _SHORTAGES
