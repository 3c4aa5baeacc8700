"""From the harness's staging folder to the hub: what is small is committed, everything a row wrote is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.errors import EvidenceError
from orchestrator.evidence.store import ArtifactStore, sha256_of
from orchestrator.layout import MANIFEST
from orchestrator.records.hub import FileEntry, Manifest, parse_manifest, render_manifest

__all__ = ["FILE_LIMIT", "HUB_LIMIT", "materialise", "publish"]

FILE_LIMIT = 300_000
HUB_LIMIT = 2_000_000


def publish(
    stage: Path,
    store: ArtifactStore,
    rows: Iterable[str],
    agent_files: Mapping[str, bytes],
    *,
    turn: str,
    tree: str,
) -> dict[str, bytes]:
    """Files of the hub by name, the manifest among them.

    A file beyond `FILE_LIMIT`, or beyond what is left of `HUB_LIMIT`, is only in the store; the manifest names it.
    Files of rows are stored in any case, so that later rows can use them.
    """
    row_names = set(rows)
    committed: dict[str, bytes] = {}
    entries = []
    room = HUB_LIMIT
    for path in sorted(stage.rglob("*")):
        if not path.is_file() or path.is_symlink() or (path.parent == stage and not path.stat().st_size):
            continue  # an empty log of the harness says nothing
        name = path.relative_to(stage).as_posix()
        row = name.split("/")[0] if name.split("/")[0] in row_names else None
        size = path.stat().st_size
        keep = size <= FILE_LIMIT and size <= room
        if row is not None or not keep:
            store.put(path)
        if keep:
            room -= size
            committed[name] = path.read_bytes()
        entries.append(
            FileEntry(name, size, sha256_of(path), by="harness", stored=row is not None or not keep, row=row)
        )
    manifest = Manifest(turn=turn, tree=tree, files=(*entries, *_agent_entries(agent_files)))
    committed[MANIFEST] = render_manifest(manifest).encode()
    return committed


def _agent_entries(files: Mapping[str, bytes]) -> tuple[FileEntry, ...]:
    return tuple(
        FileEntry(name, len(content), hashlib.sha256(content).hexdigest(), by="agent", stored=False, row=None)
        for name, content in sorted(files.items())
    )


def materialise(manifest_text: str, row: str, store: ArtifactStore, target: Path) -> None:
    """Put everything a verified row wrote below `target`, from the store.

    Raises
    ------
    EvidenceError
        The manifest does not know the row, or the store lacks its files.
    """
    entries = [entry for entry in parse_manifest(manifest_text).files if entry.row == row]
    if not entries:
        raise EvidenceError(f"no file of row {row} is in the hub's manifest: run the row again")
    for entry in entries:
        store.fetch(entry.sha256, target / Path(entry.path).relative_to(row))
