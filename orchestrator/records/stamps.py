"""UTC stamps, in the spelling of documents and in the spelling of folders."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

__all__ = ["folder_stamp", "parse_stamp"]

_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):?(\d\d):?(\d\d)Z", re.ASCII)


@lru_cache(maxsize=2048)  # a ledger is read several times a turn, and its attempts stay
def parse_stamp(text: str) -> datetime | None:
    """Return the UTC time of ``2026-01-15T22:58:50Z`` or ``2026-01-15T225850Z``, None for anything else."""
    match = _STAMP.fullmatch(text)
    if match is None:
        return None
    try:
        year, month, day, hour, minute, second = (int(part) for part in match.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def folder_stamp(time: datetime) -> str:
    """Return `time` (aware) as ``2026-01-15T225850Z``: no colon, so that it can name a folder anywhere."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H%M%SZ")
