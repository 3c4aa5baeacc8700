"""Scripted engineers: they play a character, so that one can see what the harness makes of it.

Their lines stand with the item: `plans/active/<ID>/script/right/` and `script/wrong/` hold files to be put into the
worktree at the same paths. Run as ``python -m orchestrator.agents.scripted CHARACTER REQUEST_FILE``.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from orchestrator.agents.plan import write_summary

__all__ = ["Character", "main", "play"]


class Character(StrEnum):
    """Who a scripted engineer is."""

    GOOD = "good"  # does what the handoff asks and says no more than it did
    LAZY = "lazy"  # changes nothing and writes about it
    LIAR = "liar"  # leaves code that fails and says that every test passes, turn after turn
    HASTY = "hasty"  # the liar in its first turn on a phase, good once it was refused


def _put(script: Path, worktree: Path) -> list[str]:
    """Copy the files of a script into the worktree; their repository paths."""
    if not script.is_dir():
        raise SystemExit(f"{script}: a scripted engineer needs its lines there, and the folder does not exist")
    paths = sorted(path.relative_to(script) for path in script.rglob("*") if path.is_file())
    for path in paths:
        (worktree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(script / path, worktree / path)
    return [path.as_posix() for path in paths]


def play(character: Character, worktree: Path, item_id: str, attempts: int) -> tuple[str, ...]:
    """Do the turn and return the sentences of its summary."""
    script = worktree / "plans" / "active" / item_id / "script"
    if character is Character.LAZY:
        return ("Looked at the code again and thought about it.", "The next step is to think further.")
    honest = character is Character.GOOD or (character is Character.HASTY and attempts > 0)
    paths = _put(script / ("right" if honest else "wrong"), worktree)
    written = f"Wrote {', '.join(paths)}."
    if honest:
        return (written, "The handoff's steps are done; the mapped tests are for the harness to run.")
    return (written, "All mapped tests pass.", "The item is complete; nothing is left to do.")


def main(argv: Sequence[str] | None = None) -> int:
    """Play one turn of the character for the request file's focus."""
    character, request_file = sys.argv[1:] if argv is None else argv
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    item = request["facts"]["item"]
    worktree = Path(request["worktree"])
    sentences = play(Character(character), worktree, item["id"], item["attempts"])
    write_summary(worktree, item["id"], sentences)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
