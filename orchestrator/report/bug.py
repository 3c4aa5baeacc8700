"""The last resort of every command: an expected error becomes its message and code, any other a report."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable

from orchestrator.errors import ExitCode, OrchestratorError, cure_of

__all__ = ["guarded"]


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # the disk below stderr may be the one that is full
        sys.stderr.write(f"orchestrator: {text}\n")


def _report(error: Exception) -> str:
    """Keep the traceback in a file and name it; where no file can be written, return the traceback."""
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile("w", prefix="orchestrator-bug-", suffix=".txt", delete=False) as stream:
            stream.write(text)
    except OSError:
        return f"here, for no file can be written\n{text}"
    return stream.name


def guarded(call: Callable[[], int]) -> int:
    """Return what the call returns, or the exit code of the error it raised, after saying what happened."""
    code = _guarded(call)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # a terminal that was closed, a full disk: what waits there must not fail again at the exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if stream is sys.stdout:
                code = code or int(ExitCode.FAILURE)
    return code


def _guarded(call: Callable[[], int]) -> int:
    try:
        return call()
    except OrchestratorError as error:
        _say(f"{error}{cure_of(error)}")
        return int(error.exit_code)
    except ModuleNotFoundError as error:
        cure = "`make loop` installs it into .venv (use .venv/bin/python), `pip install .` into this Python"
        _say(f"{error.name} is not installed for {sys.executable}; {cure}")
        return int(ExitCode.USAGE)
    except BrokenPipeError:
        return int(ExitCode.FAILURE)
    except Exception as error:  # noqa: BLE001 -- whatever nobody foresaw is kept and named
        cure = cure_of(error) if isinstance(error, OSError) else ""
        if cure:
            _say(f"{error}{cure}")
            return int(ExitCode.FAILURE)
        _say(f"this is a bug, kept in {_report(error)}")
        return int(ExitCode.BUG)
