"""What the library takes from its surroundings; the published records of settings are in `ptycho.config.config`."""

from __future__ import annotations

from ptycho.config.cache import CACHE_VARIABLE, find_cache_folder

__all__ = ["CACHE_VARIABLE", "find_cache_folder"]
