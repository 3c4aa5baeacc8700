"""What is kept of an error nobody foresaw."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

__all__ = ["report_bug"]


def report_bug(error: Exception) -> Path:
    """Write the traceback to a file of its own and return its path."""
    with tempfile.NamedTemporaryFile("w", prefix="orchestrator-bug-", suffix=".txt", delete=False) as stream:
        stream.writelines(traceback.format_exception(error))
    return Path(stream.name)
