"""From the harness's staging folder to the hub: what is small is committed, everything a row wrote is stored."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from orchestrator.errors import EvidenceError
from orchestrator.evidence.store import ArtifactStore, sha256_of
from orchestrator.facts import RowResult
from orchestrator.layout import MANIFEST
from orchestrator.records.hub import FileEntry, Manifest, parse_manifest, render_manifest

__all__ = ["FILE_LIMIT", "files_of", "printable", "publish"]

FILE_LIMIT = 300_000
_HUB_LIMIT = 1_900_000  # of 2 MB; the rest is for the manifest
_AGENT = "agent"


def printable(path: Path) -> str:
    """Return a path as text that every document can hold; bytes that are no UTF-8 are written as escapes."""
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def publish(stage: Path, store: ArtifactStore, rows: Iterable[RowResult], *, turn: str, tree: str) -> dict[str, bytes]:
    """Return the files of the hub by name, the manifest among them.

    What a row wrote comes from the store, where it was put when the row ended; what the agent left for the hub lies in
    the stage's `agent/`, and comes last. A file beyond `FILE_LIMIT`, or beyond what is left of the hub's limit, stays
    in the store; the manifest names it.
    """
    rows = tuple(rows)
    found = [(f"{row.row}/{name}", store.path(sha256), row.row) for row in rows for name, sha256 in row.files.items()]
    folders = {row.row for row in rows}
    for path in sorted(stage.rglob("*"), key=lambda path: (path.relative_to(stage).parts[0] == _AGENT, path)):
        inside = path.relative_to(stage)
        if path.is_file() and not path.is_symlink() and inside.parts[0] not in folders and path.stat().st_size:
            found.append((printable(inside), path, ""))
    committed: dict[str, bytes] = {}
    entries = []
    room = _HUB_LIMIT
    for name, path, row in found:
        size = path.stat().st_size
        keep = size <= FILE_LIMIT and size <= room
        if keep:
            room -= size
            committed[name] = path.read_bytes()
        else:
            store.put(path)
        stored = bool(row) or not keep
        by: Literal["agent", "harness"] = "agent" if name.startswith(f"{_AGENT}/") else "harness"
        entries.append(FileEntry(name, size, sha256_of(path), by=by, stored=stored, row=row or None))
    manifest = Manifest(turn=turn, tree=tree, files=tuple(entries))
    committed[MANIFEST] = render_manifest(manifest).encode()
    return committed


def files_of(manifest_text: str, row: str) -> dict[str, str]:
    """Return the SHA-256 of everything a verified row wrote, by name.

    Raises
    ------
    EvidenceError
        The manifest does not know the row.
    """
    entries = [entry for entry in parse_manifest(manifest_text).files if entry.row == row]
    if not entries:
        raise EvidenceError(f"no file of row {row} is in the hub's manifest: run the row again")
    return {Path(entry.path).relative_to(row).as_posix(): entry.sha256 for entry in entries}
