"""Progress on a terminal or in a log: one line redrawn, or plain lines now and then."""

from __future__ import annotations

import time
from typing import TextIO

__all__ = ["Progress"]

PLAIN_SECONDS = 2.0
REDRAW_SECONDS = 0.1


class Progress:
    """Shows how far something is; a context manager.

    On a terminal one line is redrawn; elsewhere a plain line comes at most every 2 s. The last one is always
    shown, unless a line that stays came after it.

    Parameters
    ----------
    stream
        Where to, as a rule `sys.stderr`.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._shown = -float("inf")
        self._pending: str | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pending is not None:
            self._show(self._pending)
        if self._terminal and self._shown > 0:
            self._stream.write("\n")

    def update(self, text: str) -> None:
        """Show a state that the next one replaces."""
        now = time.monotonic()
        if now - self._shown < (REDRAW_SECONDS if self._terminal else PLAIN_SECONDS):
            self._pending = text
            return
        self._shown = now
        self._show(text)

    def line(self, text: str) -> None:
        """Show a line that stays."""
        self._pending = None
        self._stream.write(f"\r\x1b[K{text}\n" if self._terminal else f"{text}\n")
        self._stream.flush()

    def _show(self, text: str) -> None:
        self._pending = None
        self._stream.write(f"\r\x1b[K{text}" if self._terminal else f"{text}\n")
        self._stream.flush()
