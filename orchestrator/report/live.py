"""Live progress: who works, on what, since when, and what was verified; plain lines when nobody watches."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Any, TextIO, cast

from orchestrator.process import last_line

__all__ = ["Live"]


class _Patient:
    """A stream that drops what it cannot write: the work does not depend on a terminal that was closed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


class Live:
    """Terminal output of a run, on stderr so that stdout stays for results.

    On a terminal a spinner shows the step under way with its age; elsewhere each fact is one line with the time
    since the start.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        from rich.console import Console  # noqa: PLC0415 -- `--help` needs the standard library only

        self._console = Console(file=cast("TextIO", _Patient(stream or sys.stderr)), highlight=False, soft_wrap=True)
        self._started = time.monotonic()
        self._progress: Any = None
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

    def work(self, text: str, log: Path | None = None) -> None:
        """Say that something long begins; a terminal shows its age and the last line of its log while it runs."""
        if self.is_terminal:
            self.step(text, log)
        else:
            self.line(f"       … {text}")

    def step(self, text: str, log: Path | None = None) -> None:
        """Show what is under way now; only a terminal does."""
        if not self.is_terminal:
            return
        if self._progress is None:
            self._progress = self._make_progress()
            self._progress.start()
        for task in list(self._progress.task_ids):
            self._progress.remove_task(task)
        self._progress.add_task(f"{self._who}  {text}", total=None, log=log)

    def _make_progress(self) -> Any:  # noqa: ANN401 -- rich is imported when it is needed
        from rich.progress import Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        class LastLine(ProgressColumn):
            """The last line of the log of what is under way."""

            def render(self, task: Any) -> Text:  # noqa: ANN401 -- as above
                return Text(last_line(task.fields["log"]), style="dim", overflow="ellipsis", no_wrap=True)

        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(), LastLine())
        return Progress(*columns, console=self._console, transient=True, refresh_per_second=2)

    def fact(self, text: str, *, good: bool | None = None) -> None:
        """Something the harness measured or decided."""
        mark = {True: "✓ ", False: "✗ ", None: "· "}[good]
        self.line(f"       {mark}{text}", {True: "green", False: "red", None: ""}[good])

    def close(self) -> None:
        """End the spinner and leave the terminal as it was."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
