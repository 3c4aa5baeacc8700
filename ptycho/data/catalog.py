"""Opening a scan by the name of a known data set or by the path of a file."""

from __future__ import annotations

from pathlib import Path

from ptycho.archive import load_arrays
from ptycho.config import find_cache_folder
from ptycho.data.fetch import Source, cached_path
from ptycho.data.published import load_published
from ptycho.data.scan import DataKind, Scan
from ptycho.data.scan_file import FORMAT, load_scan
from ptycho.data.tike import POSITION_ERROR, SIEMENS_STAR
from ptycho.errors import DataError

__all__ = ["SOURCES", "TRUE_POSITIONS", "find_source", "open_scan"]

SOURCES: tuple[Source, ...] = (SIEMENS_STAR, POSITION_ERROR)
TRUE_POSITIONS = {f"{POSITION_ERROR.name}-true": POSITION_ERROR}  # the same fetched file, opened at its true positions


def find_source(name: str) -> Source:
    """Return the data set of that name, or the one of which it names a variant.

    Raises
    ------
    DataError
        If there is none.
    """
    known = {source.name: source for source in SOURCES} | TRUE_POSITIONS
    if name not in known:
        raise DataError(f"data set {name!r}: expected one of: {', '.join(known)}, or the path of an .npz file")
    return known[name]


def open_scan(name_or_path: str, kind: DataKind | str | None = None) -> Scan:
    """Open a cached data set by name, or an .npz file of this library's or the published layout.

    A set that brings true positions beside the measured ones opens at the measured ones; its name with "-true"
    opens it at the others.

    Parameters
    ----------
    name_or_path
        A name that `fetch` knows, or a path ending in .npz.
    kind
        What the numbers of a published file are, when they are not counts.

    Raises
    ------
    DataError
        If there is no such data set or file, the data set is not fetched yet, the file is wrong, or it
        states another kind.
    """
    if name_or_path.endswith(".npz"):
        path = Path(name_or_path)
        stated = load_arrays(path, skip=("diffraction", "diff3d")).get("format")
        scan = load_scan(path) if str(stated) == FORMAT else load_published(path, kind)
    else:
        path = cached_path(find_source(name_or_path), find_cache_folder())
        if not path.exists():
            raise DataError(
                f"{name_or_path}: not in the cache ({path}); fetch it first: python -m ptycho fetch {name_or_path}"
            )
        scan = load_scan(path)
        if name_or_path in TRUE_POSITIONS:
            scan = scan.at_true_positions()
    if kind not in (None, scan.kind):
        raise DataError(f"{path}: expected no --kind, or --kind {scan.kind}, which it states; found {kind}")
    return scan
