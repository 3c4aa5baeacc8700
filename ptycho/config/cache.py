"""Where fetched data sets and kept results lie: the only module of the library that reads the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ptycho.errors import ConfigError

__all__ = ["CACHE_VARIABLE", "find_cache_folder"]

CACHE_VARIABLE = "PTYCHO_CACHE"


def find_cache_folder() -> Path:
    """Return the folder of fetched data sets: ``$PTYCHO_CACHE``, else the platform's cache folder.

    Raises
    ------
    ConfigError
        If ``$PTYCHO_CACHE`` is not an absolute path.
    """
    environment = os.environ  # noqa: TID251 -- the one place that reads it
    chosen = environment.get(CACHE_VARIABLE)
    if chosen:
        folder = Path(chosen).expanduser()
        if not folder.is_absolute():
            raise ConfigError(f"{CACHE_VARIABLE}: expected an absolute path, found {chosen!r}")
        return folder
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "ptycho"
    base = environment.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ptycho"
