"""Content-addressed store for what a row wrote: shared by all worktrees, referenced by manifests."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import EvidenceError

__all__ = ["ArtifactStore", "sha256_of"]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class ArtifactStore:
    """Files under the SHA-256 of their content."""

    root: Path

    def path(self, sha256: str) -> Path:
        """Where content with this hash lies, whether or not it is there."""
        return self.root / sha256[:2] / sha256

    def put(self, source: Path) -> str:
        """Keep a copy of a file and return its hash; content that is there already is not written again."""
        sha256 = sha256_of(source)
        target = self.path(sha256)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as stream:
                with source.open("rb") as content:
                    shutil.copyfileobj(content, stream)
                stream.flush()
                os.fsync(stream.fileno())
            Path(stream.name).chmod(0o444)
            Path(stream.name).replace(target)
        return sha256

    def fetch(self, sha256: str, target: Path) -> None:
        """Put a copy of stored content at `target`; the hash is checked.

        Raises
        ------
        EvidenceError
            The content is not in this store, or it is damaged.
        """
        source = self.path(sha256)
        if not source.exists():
            raise EvidenceError(f"artifact {sha256[:12]} for {target.name} is not in {self.root}: run the row again")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        if sha256_of(target) != sha256:
            raise EvidenceError(f"{source}: content does not match its name; remove it and run the row again")
