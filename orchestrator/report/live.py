"""Live progress: who works, on what, since when, and what was verified; plain lines when nobody watches."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

__all__ = ["Live"]


class Live:
    """Terminal output of a run, on stderr so that stdout stays for results.

    On a terminal a spinner shows the step under way with its age; elsewhere each fact is one line with the time
    since the start.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        from rich.console import Console  # noqa: PLC0415 -- `--help` needs the standard library only

        self._console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
        self._started = time.monotonic()
        self._status: Any = None
        self._who = ""

    @property
    def is_terminal(self) -> bool:
        """Whether somebody may be watching."""
        return bool(self._console.is_terminal)

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self._started)
        return f"{seconds // 60:3d}:{seconds % 60:02d}"

    def plain(self, text: str, style: str = "") -> None:
        """Print one line as it is."""
        from rich.text import Text  # noqa: PLC0415 -- as above

        self._console.print(Text(text, style=style))

    def line(self, text: str, style: str = "") -> None:
        """Print one line that stays, with the time since the start."""
        self.plain(f"{self._clock()}  {text}", style)

    def turn(self, who: str, text: str) -> None:
        """Say that a turn begins."""
        self._who = who
        self.line(f"{who}  {text}", "bold")

    def step(self, text: str) -> None:
        """Show what is under way now; only a terminal does."""
        if not self.is_terminal:
            return
        if self._status is None:
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

            self._status = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
                refresh_per_second=2,
            )
            self._status.start()
        for task in list(self._status.task_ids):
            self._status.remove_task(task)
        self._status.add_task(f"{self._who}  {text}", total=None)

    def fact(self, text: str, *, good: bool | None = None) -> None:
        """Something the harness measured or decided."""
        mark = {True: "✓ ", False: "✗ ", None: "· "}[good]
        self.line(f"       {mark}{text}", {True: "green", False: "red", None: ""}[good])

    def close(self) -> None:
        """End the spinner and leave the terminal as it was."""
        if self._status is not None:
            self._status.stop()
            self._status = None
