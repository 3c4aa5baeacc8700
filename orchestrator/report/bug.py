"""The last resort of every command: an expected error becomes its message and code, any other a report."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import ExitCode, OrchestratorError

__all__ = ["guarded"]


def _report(error: Exception) -> Path:
    with tempfile.NamedTemporaryFile("w", prefix="orchestrator-bug-", suffix=".txt", delete=False) as stream:
        stream.writelines(traceback.format_exception(error))
    return Path(stream.name)


def guarded(call: Callable[[], int]) -> int:
    """Return what the call returns, or the exit code of the error it raised, after saying what happened."""
    try:
        return call()
    except OrchestratorError as error:
        sys.stderr.write(f"orchestrator: {error}\n")
        return int(error.exit_code)
    except ModuleNotFoundError as error:
        cure = "`make loop` installs it into .venv (use .venv/bin/python), `pip install .` into this Python"
        sys.stderr.write(f"orchestrator: {error.name} is not installed for {sys.executable}; {cure}\n")
        return int(ExitCode.USAGE)
    except BrokenPipeError:
        return int(ExitCode.FAILURE)
    except Exception as error:  # noqa: BLE001 -- whatever nobody foresaw is kept and named
        sys.stderr.write(f"orchestrator: this is a bug, kept in {_report(error)}\n")
        return int(ExitCode.BUG)
