"""The library's errors: each message says what was expected, what came, and what to do next."""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "DataError",
    "DependencyError",
    "FetchError",
    "PtychoError",
    "ShapeError",
    "TrainingError",
]


class PtychoError(Exception):
    """Anything the library can foresee; `exit_code` is what the command line returns for it."""

    exit_code = 1


class ConfigError(PtychoError):
    """A flag, an option or an environment variable cannot be used as it stands."""

    exit_code = 2


class DataError(PtychoError):
    """A file is damaged, or is not what its reader was promised."""


class ShapeError(PtychoError):
    """Arrays that belong together do not fit: the message names both shapes."""


class FetchError(PtychoError):
    """A data set could not be brought here: no network, wrong archive, wrong checksum."""


class DependencyError(PtychoError):
    """A package that this command needs is not installed."""


class TrainingError(PtychoError):
    """A network stopped learning: its loss or its weights are no longer finite."""
