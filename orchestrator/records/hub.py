"""The manifest of a report hub: what a turn left behind, file by file, with sizes and hashes."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from orchestrator.errors import RecordError
from orchestrator.records.text import Problem, ProblemList, shown

__all__ = ["FileEntry", "Manifest", "parse_manifest", "render_manifest"]

_SCHEMA = "hub-manifest/1"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileEntry:
    """One file of a hub.

    Attributes
    ----------
    path : str
        Relative to the hub.
    size : int
        In bytes.
    by : str
        Who wrote it; what the agent wrote proves nothing.
    stored : bool
        Whether its content lies in the artifact store.
    row : str or None
        Id of the plan's row that wrote it.
    """

    path: str
    size: int
    sha256: str
    by: Literal["harness", "agent"]
    stored: bool = False
    row: str | None = None

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path).parts
        if not parts or parts[0] == "/" or ".." in parts or "\0" in self.path:
            raise RecordError(f"expected a path below the hub, found {shown(self.path)}")
        if self.size < 0:
            raise RecordError(f"{self.path}: expected a size in bytes, found {self.size}")
        if not _SHA256.fullmatch(self.sha256):
            raise RecordError(f"{self.path}: expected a SHA-256 of 64 hex digits, found {shown(self.sha256)}")
        if self.by not in {"harness", "agent"}:
            raise RecordError(f"{self.path}: expected 'harness' or 'agent' as its writer, found {shown(self.by)}")


@dataclass(frozen=True)
class Manifest:
    """A hub's manifest: `tree` is the git tree that the evidence holds for."""

    turn: str
    tree: str
    files: tuple[FileEntry, ...] = ()
    problems: tuple[Problem, ...] = field(default=(), compare=False)
    path: str = field(default="manifest.json", compare=False)


def _read_entry(entry: object) -> FileEntry:
    """Turn one decoded entry into a record, RecordError when it is not one."""
    kinds = {"path": str, "size": int, "sha256": str, "by": str, "stored": bool, "row": str | None}
    if not isinstance(entry, dict) or entry.keys() != kinds.keys():
        raise RecordError(f"expected an entry with {', '.join(kinds)}, found {shown(str(entry))}")
    for key, kind in kinds.items():
        if not isinstance(entry[key], kind) or (key == "size" and isinstance(entry[key], bool)):
            raise RecordError(f"expected another type of {key}, found {shown(repr(entry[key]))}")
    return FileEntry(**entry)


def _read_files(data: dict[str, object], text: str, problems: ProblemList) -> tuple[FileEntry, ...]:
    listed = data.get("files")
    if not isinstance(listed, list):
        problems.add(1, "a list 'files'", shown(repr(listed)))
        return ()
    files = []
    for entry in listed:
        try:
            files.append(_read_entry(entry))
        except RecordError as error:
            path = entry.get("path") if isinstance(entry, dict) else None
            at = max(text.find(json.dumps(path, ensure_ascii=False)), 0) if isinstance(path, str) else 0
            problems.add(text.count("\n", 0, at) + 1, "an entry of the manifest", str(error))
    return tuple(files)


def parse_manifest(text: str, path: str = "manifest.json") -> Manifest:
    """Read a manifest; whatever cannot be read is named in `Manifest.problems`, with its line.

    Parameters
    ----------
    text : str
        The whole file.
    path : str
        Named in the problems.
    """
    problems = ProblemList(path)
    problems.check_end(text)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        problems.add(getattr(error, "lineno", 1), f"JSON of schema {_SCHEMA}", str(error))
        return Manifest("", "", (), problems.sorted(), path)
    if not isinstance(data, dict) or data.get("schema") != _SCHEMA:
        problems.add(1, f"an object with schema {_SCHEMA!r}", shown(text))
        return Manifest("", "", (), problems.sorted(), path)
    names = {key: value for key in ("turn", "tree") if isinstance(value := data.get(key), str)}
    for key in {"turn", "tree"} - names.keys():
        problems.add(1, f"a text {key!r}", shown(repr(data.get(key))))
    files = _read_files(data, text, problems)
    return Manifest(names.get("turn", ""), names.get("tree", ""), files, problems.sorted(), path)


def render_manifest(manifest: Manifest) -> str:
    """Write a manifest as JSON, the same bytes for the same manifest."""
    files = [asdict(entry) for entry in manifest.files]
    data = {"schema": _SCHEMA, "turn": manifest.turn, "tree": manifest.tree, "files": files}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
