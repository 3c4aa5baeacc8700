"""The oldest parts of memory and ledger, moved byte for byte to documents that only grow; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.layout import ARCHIVES, LEDGER, MEMORY
from orchestrator.records.ledger import Status, parse_ledger, without_attempts
from orchestrator.records.memory import parse_memory
from orchestrator.records.text import with_block

__all__ = ["LIMITS", "archive_attempts", "archive_entries", "with_archives"]

LIMITS: Mapping[str, int] = {MEMORY: 256_000, LEDGER: 128_000}
_ATTEMPTS_KEPT = 3


def _pointed(text: str, preamble: str, path: str) -> str:
    """Return a document that names, above its first record, where the older ones are."""
    line = f"Older records stand in `{ARCHIVES[path]}`."
    return text if line in preamble else with_block(preamble, f"{line}\n\n") + text.removeprefix(preamble)


def archive_entries(text: str, size: int) -> tuple[str, str]:
    """Take the oldest entries out of a memory until `size` bytes are left, never the newest one; the rest, and they."""
    memory = parse_memory(text)
    excess, moved = len(text.encode()) - size, ""
    for entry in memory.entries[:-1]:
        moved += entry.raw if len(moved.encode()) < excess else ""
    rest = memory.preamble + text.removeprefix(memory.preamble).removeprefix(moved)
    return (_pointed(rest, memory.preamble, MEMORY) if moved else text), moved


def archive_attempts(text: str, size: int) -> tuple[str, str]:
    """Take the oldest attempts out of a ledger until `size` bytes are left, those of done items first.

    Items stay, and the newest attempts of each. What is taken out comes with the heading of its item.
    """
    ledger = parse_ledger(text)
    rest, archived = text, ""
    for item in sorted(ledger.items, key=lambda item: item.status not in {Status.DONE, Status.ARCHIVED}):
        rest, moved = without_attempts(rest, item.id, kept=_ATTEMPTS_KEPT, excess=len(rest.encode()) - size)
        archived += f"### [{item.id}] {item.title}\n{moved}\n" if moved else ""
    return (_pointed(rest, ledger.preamble, LEDGER) if archived else text), archived


def with_archives(documents: Mapping[str, str], read: Callable[[str], bytes]) -> dict[str, bytes]:
    """Return documents as they are written, what has grown beyond its limit cut to half, its archive longer by that.

    Parameters
    ----------
    documents
        By path.
    read
        Gives an archive as it stands; its bytes are kept whatever they are.
    """
    written = {path: text.encode() for path, text in documents.items()}
    for path, archive in ((MEMORY, archive_entries), (LEDGER, archive_attempts)):
        if len(written.get(path, b"")) > LIMITS[path]:
            rest, moved = archive(documents[path], LIMITS[path] // 2)
            before = read(ARCHIVES[path]) or f"# Older records of {path}\n\n".encode()
            written |= {path: rest.encode(), **({ARCHIVES[path]: before + moved.encode()} if moved else {})}
    return written
