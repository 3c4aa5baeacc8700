"""Settings of the loop, resolved once: flag over environment over `orchestration.yaml` over default.

This is the only module of the harness that reads the environment.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigError
from orchestrator.policy.rules import Rulebook

__all__ = ["FILE_NAME", "SETTINGS", "Config", "Setting", "child_environment", "known_secrets", "resolve_config"]

FILE_NAME = "orchestration.yaml"

_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*(s|m|min|h)?", re.ASCII)
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}

# What a child may see. Everything else of the user's environment (keys, tokens, hooks) stays outside.
_PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TERM", "XDG_CACHE_HOME")
_PASSED_WITH_NETWORK = ("PIP_", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

_SECRET_NAME = re.compile(r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PAT|CREDENTIALS?)S?(?:_|$)")
_SHORTEST_SECRET = 8


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a non-empty text")
    return value


def _number(value: object) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    except ValueError:
        number = 0.0
    if not number > 0:
        raise ValueError("a positive number")
    return number


def _count(value: object) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError("a positive whole number")
    return int(number)


def _duration(value: object) -> float:
    match = _DURATION.fullmatch(str(value).strip())
    seconds = float(match[1]) * _SECONDS[match[2] or "s"] if match else 0.0
    if not seconds > 0:
        raise ValueError("a time such as 90s, 10min or 2h")
    return seconds


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple) or not all(isinstance(entry, str) and entry for entry in value):
        raise ValueError("a list of texts")
    return tuple(value)


def _paths(value: object) -> tuple[Path, ...]:
    """Read absolute paths; `~` and `$NAME` are filled in, and a path with a variable that is not set is left out."""
    found = os.environ  # noqa: TID251 -- here
    named = [(text, re.findall(r"\$(\w+)", text)) for text in _texts(value)]
    known = [os.path.expandvars(text) for text, names in named if all(map(found.get, names))]
    paths = tuple(Path(text).expanduser() for text in known)
    if not all(path.is_absolute() for path in paths):
        raise ValueError("a list of absolute paths")
    return paths


def _first_path(value: object) -> tuple[Path, ...]:
    return _paths(value)[:1]


def _one_of(*names: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        text = "off" if value is False else value  # what YAML makes of a bare `off`
        if text not in names:
            raise ValueError("one of " + ", ".join(names))
        return str(text)

    return read


def _argv(value: object) -> tuple[str, ...]:
    return tuple(shlex.split(_text(value)))


def _commands(value: object) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise ValueError("a mapping from a kind of need to the command")  # noqa: TRY004 -- reported with its origin
    return {_text(kind): _argv(command) for kind, command in value.items()}


def _severities(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError("a mapping from a rule to its severity")  # noqa: TRY004 -- reported with its origin
    chosen = {_text(rule): "off" if severity is False else _text(severity) for rule, severity in value.items()}
    return Rulebook(chosen).chosen  # YAML reads a bare `off` as False


def _priority(value: object) -> str:
    return _one_of("Critical", "High", "Medium", "Low")(_text(value).capitalize())


@dataclass(frozen=True)
class Setting:
    """One setting: its key in the file, its default, how a value is read, what it is for, its value's name as a flag.

    Settings without a `metavar` are given in the file or the environment only.
    """

    key: str
    default: Any
    read: Callable[[object], Any]
    purpose: str
    metavar: str = ""

    @property
    def variable(self) -> str:
        """Name of the environment variable that sets it."""
        return "ORCHESTRATOR_" + self.key.upper()


SETTINGS = (
    Setting("supervisor", "plan", _text, "agent that plays galph", "NAME"),
    Setting("engineer", "plan", _text, "agent that plays ralph", "NAME"),
    Setting("reviewer", "plan", _text, "agent that plays the reviewer", "NAME"),
    Setting("review_every", None, _count, "have a reviewer propose after so many iterations", "N"),
    Setting("agent_command", (), _argv, "command line of the agent 'command'", "ARGV"),
    Setting("priority", "High", _priority, "items of this priority and above are worked on", "LEVEL"),
    Setting("iterations", None, _count, "end after so many iterations", "N"),
    Setting("max_minutes", None, _number, "end after so many minutes", "M"),
    Setting("wait", None, _duration, "with nothing runnable, wait so long for what items wait for", "DURATION"),
    Setting("turn_minutes", 30.0, _number, "wall limit of one agent's turn", "M"),
    Setting("silence_minutes", 10.0, _number, "an agent that prints nothing for so long is ended", "M"),
    Setting("verify_minutes", 10.0, _number, "limit of a test run, and of a row without a `Limit:`", "M"),
    Setting("verify_setup", (), _argv, "command run in every checkout before anything is measured in it"),
    Setting("tests", ("**/tests/**", "**/test_*.py", "**/*_test.py", "**/conftest.py"), _texts, "globs of test files"),
    Setting("docs", ("docs/**", "**/*.md", "**/*.rst"), _texts, "globs of documents"),
    Setting("pass_env", (), _texts, "further environment variables that children may see"),
    Setting("sync", "", _text, "branch merged into the run between iterations, as main or origin/main"),
    Setting("sandbox", "auto", _one_of("auto", "required", "off"), "walls around agents, tests and rows", "MODE"),
    Setting("network", "full", _one_of("full", "none"), "what the agent program reaches from within the walls", "MODE"),
    Setting("sandbox_read", (), _paths, "further paths that children may read"),
    Setting("sandbox_write", (), _paths, "further paths that the agent program may write"),
    Setting("needs", {}, _commands, "commands that provide what a row's `Needs:` names, by kind"),
    Setting("needs_folder", (), _first_path, "where those commands keep it: the first of some paths that is known"),
    Setting("rules", {}, _severities, "severities that differ from those in docs/rules.md, by rule"),
    Setting("notify", (), _argv, "command told, as JSON on stdin, of blocked, waiting and done items, and of the end"),
)
_BY_KEY = {setting.key: setting for setting in SETTINGS}


@dataclass(frozen=True)
class Config:
    """The resolved settings; `origins` tells for each key where its value came from."""

    workspace: Path
    supervisor: str
    engineer: str
    reviewer: str
    review_every: int | None
    agent_command: tuple[str, ...]
    priority: str
    iterations: int | None
    max_minutes: float | None
    wait: float | None
    turn_minutes: float
    silence_minutes: float
    verify_minutes: float
    verify_setup: tuple[str, ...]
    tests: tuple[str, ...]
    docs: tuple[str, ...]
    pass_env: tuple[str, ...]
    sandbox: str
    network: str
    sandbox_read: tuple[Path, ...]
    sandbox_write: tuple[Path, ...]
    needs: Mapping[str, tuple[str, ...]]
    needs_folder: tuple[Path, ...]
    rules: Mapping[str, str]
    sync: str
    notify: tuple[str, ...]
    focus: str | None = None
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def rulebook(self) -> Rulebook:
        """The rules as this workspace holds them."""
        return Rulebook(self.rules)


def _file_values(path: Path) -> dict[str, object]:
    if not path.exists():
        return {}
    import yaml  # noqa: PLC0415 -- `--help` works from a plain clone, with the standard library only

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected `key: value` lines, found {type(values).__name__}")
    for key in values:
        if key not in _BY_KEY:
            known = ", ".join(sorted(_BY_KEY))
            raise ConfigError(f"{path}: unknown key {key!r}; known are {known}")
    return values


def resolve_config(workspace: Path, flags: Mapping[str, object], focus: str | None = None) -> Config:
    """Merge flags, environment and `orchestration.yaml`; every value is checked where it came from.

    Raises
    ------
    ConfigError
        An unknown key, or a value that cannot be read; the message names file, variable or flag.
    """
    in_file = _file_values(workspace / FILE_NAME)
    values: dict[str, Any] = {}
    origins = {}
    for setting in SETTINGS:
        sources = (
            ("flag --" + setting.key.replace("_", "-"), flags.get(setting.key)),
            ("environment " + setting.variable, os.environ.get(setting.variable)),  # noqa: TID251 -- here
            (FILE_NAME, in_file.get(setting.key)),
        )
        origin, found = next(((name, value) for name, value in sources if value is not None), ("default", None))
        try:
            values[setting.key] = setting.default if found is None else setting.read(found)
        except ValueError as error:
            raise ConfigError(f"{origin}: {setting.key} must be {error}, not {found!r}") from error
        origins[setting.key] = origin
    return Config(workspace=workspace, focus=focus, origins=origins, **values)


def known_secrets(more: Mapping[str, str] | None = None) -> tuple[bytes, ...]:
    """Return the values of variables whose names say that they are secret: of this environment, and of one more."""
    values = {
        value.encode("utf-8", "surrogateescape")
        for environment in (os.environ, more or {})  # noqa: TID251 -- here
        for name, value in environment.items()
        if _is_secret(name) and len(value) >= _SHORTEST_SECRET and not value.startswith("/") and not value.isdigit()
    }
    return tuple(sorted(values))


def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name.upper()) is not None


def child_environment(config: Config, root: Path, *, network: bool = False) -> dict[str, str]:
    """Environment of a child that works in the checkout `root`: an allowlist, and first-party code from there.

    Keys are for those that use the network.
    """
    names = set(_PASSED) | {name for name in config.pass_env if network or not _is_secret(name)}
    prefixes = _PASSED_WITH_NETWORK if network else ()
    environment = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 -- the one place that reads it
        if name in names or (prefixes and name.upper().startswith(prefixes))
    }
    return environment | {
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "MPLBACKEND": "Agg",
        "OMP_WAIT_POLICY": "PASSIVE",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}",
    }
