"""The harness's errors: each message says what was expected, what came, and what to do next."""

from __future__ import annotations

__all__ = [
    "AgentError",
    "ConfigError",
    "EvidenceError",
    "GitError",
    "JournalError",
    "LockError",
    "OrchestratorError",
    "ProcessError",
    "RecordError",
    "WorkspaceError",
]


class OrchestratorError(Exception):
    """Anything the harness can foresee; `exit_code` is what the command line returns for it."""

    exit_code = 1


class ConfigError(OrchestratorError):
    """A flag, `orchestration.yaml` or an environment variable cannot be used as it stands."""

    exit_code = 2


class RecordError(OrchestratorError):
    """A document of the loop cannot be read or would be rendered wrongly."""


class WorkspaceError(OrchestratorError):
    """The repository or `.orchestrator/` is not in a state the loop can start from."""


class GitError(OrchestratorError):
    """git ended with a code that was not expected, or ran out of time."""


class ProcessError(OrchestratorError):
    """A child process could not be handled."""


class AgentError(OrchestratorError):
    """An agent failed repeatedly or cannot be started."""

    exit_code = 14


class EvidenceError(OrchestratorError):
    """The verification environment itself is broken: nothing measured there would count."""

    exit_code = 15


class JournalError(OrchestratorError):
    """The journal is damaged; the message names path and line and where the backup lies."""


class LockError(OrchestratorError):
    """Another loop holds this repository."""

    exit_code = 75
