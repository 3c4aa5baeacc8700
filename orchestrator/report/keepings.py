"""What the repository keeps of a turn: its commit, the files of its hub, its patch and its agent's log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.layout import HANDOFF, MANIFEST
from orchestrator.records.hub import FileEntry, parse_manifest
from orchestrator.report.chronicle import TurnStory
from orchestrator.roles import REVIEW_FILE
from orchestrator.workspace import Workspace

__all__ = ["FileDiff", "Keepings", "parse_patch", "read_keepings"]

_SHOWN_BYTES = 8_000_000  # what is larger is named, not shown; git does not compare its lines either
_PATCH = ("-c", f"core.bigFileThreshold={_SHOWN_BYTES}", "diff-tree", "--pretty=%B", "-r", "-p", "--no-renames")
_PATHS = ("--", ":(top)", ":(top,exclude,glob)plans/active/*/reports/**")
_FILE = re.compile(r"^diff --git (.*)\n", re.MULTILINE)
_SHOWN = (".json", ".log", ".md", ".patch", ".png")


class FileDiff(NamedTuple):
    """The change of one file: its path as git writes it, and the lines below the patch's header."""

    path: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Keepings:
    """One turn's commit and hub.

    Attributes
    ----------
    log : bytes
        What the agent printed; its process was held to a limit.
    message : str
        Message of the commit, trailers included.
    contents : mapping
        Those files of the hub that can be shown, by name; from the artifact store where the hub has them not.
    patches : tuple of str
        Of a turn that was undone: where its changes are kept, those too large to show among them.
    has_folder : bool
        Whether the turn's own folder is still there.
    """

    log: bytes
    diff: tuple[FileDiff, ...]
    message: str = ""
    handoff: str = ""
    review: str = ""
    files: tuple[FileEntry, ...] = ()
    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    patches: tuple[str, ...] = ()
    has_folder: bool = True


def parse_patch(patch: bytes) -> tuple[FileDiff, ...]:
    """Read a patch without renames, as git writes it, file by file."""
    _, *parts = _FILE.split(patch.decode("utf-8", "replace"))
    found = []
    for names, text in zip(parts[::2], parts[1::2], strict=True):
        path = names[: (len(names) - 1) // 2].strip('"')[2:]  # both names are the same but for a/ and b/
        header, at, body = text.partition("\n@@")
        found.append(FileDiff(path, tuple((f"@@{body}" if at else header).removesuffix("\n").split("\n"))))
    return tuple(found)


def read_keepings(workspace: Workspace, story: TurnStory) -> Keepings:
    """Read what there is of one turn; one call of git beside its reader, and none for a turn that was not committed.

    Raises
    ------
    GitError
        The journal names a commit that is not in this repository.
    """
    folder, git, record = workspace.home / "turns" / story.id, workspace.git, story.record
    log = (folder / "agent.log").read_bytes() if (folder / "agent.log").is_file() else b""
    if record is None:
        left = sorted(folder.glob("abandoned*.patch"))
        diff = parse_patch(b"".join(path.read_bytes() for path in left if path.stat().st_size <= _SHOWN_BYTES))
        names = tuple(str(path.relative_to(workspace.home.parent)) for path in left)
        return Keepings(log, diff, patches=names, has_folder=folder.is_dir())
    commit = git.run(*_PATCH, record.commit, *_PATHS)
    paths = (HANDOFF, record.hub + MANIFEST, record.hub + REVIEW_FILE)
    handoff, manifest, review = (git.blob(record.commit, path) or b"" for path in paths)
    told = parse_manifest(manifest.decode("utf-8", "replace"))
    files = told.files if told.turn == record.turn else ()  # or it is that of the iteration's other turn
    contents = {}
    for file in files:
        if file.by == "harness" and file.path.endswith(_SHOWN) and file.size <= _SHOWN_BYTES:
            kept, found = workspace.store.path(file.sha256), git.blob(record.commit, record.hub + file.path)
            contents[file.path] = found if found or not kept.is_file() else kept.read_bytes()
    message, text = _FILE.split(commit.decode("utf-8", "replace"), 1)[0].strip(), handoff.decode("utf-8", "replace")
    shown = {name: content for name, content in contents.items() if content}
    return Keepings(log, parse_patch(commit), message, text, review.decode("utf-8", "replace"), files, shown)
