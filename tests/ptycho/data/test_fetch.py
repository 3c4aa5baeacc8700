"""Fetching: from an archive of the layout that the package has, into a cache that other processes share."""

import bz2
import hashlib
import io
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.fft

from ptycho.data import DataKind, Scan, load_scan, save_scan
from ptycho.data.catalog import find_source, open_scan
from ptycho.data.fetch import Source, cached_path, fetch
from ptycho.data.siemens import SIEMENS_STAR
from ptycho.errors import DataError, FetchError


def tike_content(scan: Scan, **changes: object) -> bytes:
    """The bytes of a file as tike lays it out: DC at the corner, minimum corners about 0, weak probe."""
    corners = scan.probe_positions - np.array(scan.frame_shape) // 2
    arrays = {
        "data": scipy.fft.ifftshift(scan.diffraction, axes=(1, 2))[None],
        "scan": (corners - corners.mean(axis=0))[None].astype(np.float32),
        "probe": (1e-3 * scan.probe)[None, None, None].astype(np.complex64),
    }
    file = io.BytesIO()
    np.savez(file, **(arrays | changes))  # type: ignore[arg-type]
    return file.getvalue()


def make_archive(folder: Path, content: bytes) -> tuple[Source, Path]:
    """A source archive with one member, and the source that asks for it."""
    packed = bz2.compress(content)
    member = "tike-0.26.0/tests/data/siemens-star-small.npz.bz2"
    path = folder / "tike-0.26.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo(member)
        entry.size = len(packed)
        tar.addfile(entry, io.BytesIO(packed))
    return replace(SIEMENS_STAR, member=member, sha256=hashlib.sha256(packed).hexdigest()), path


def silent(_: str) -> None:
    """Report nothing."""


def test_a_fetched_set_is_converted_and_its_conventions_found(small_scan: Scan, tmp_path: Path) -> None:
    source, archive = make_archive(tmp_path, tike_content(small_scan))
    lines: list[str] = []
    path = fetch(source, tmp_path / "cache", lines.append, archive)
    assert path == cached_path(source, tmp_path / "cache")
    scan = load_scan(path)
    np.testing.assert_array_equal(scan.diffraction, small_scan.diffraction)
    offset = scan.probe_positions - small_scan.probe_positions
    np.testing.assert_allclose(offset, np.broadcast_to(offset[0], offset.shape), atol=1e-4)
    assert np.sum(np.abs(scan.probe) ** 2) == pytest.approx(scan.photons_per_frame, rel=1e-4)
    conventions = scan.provenance["conventions"]
    assert isinstance(conventions, dict)
    assert (conventions["detector_origin"], conventions["position_axes"]) == ("corner", "yx")
    assert sum(line.startswith("trial") for line in lines) == 8


def test_a_cached_set_is_used_as_it_is_and_a_damaged_one_made_again(small_scan: Scan, tmp_path: Path) -> None:
    source, archive = make_archive(tmp_path, tike_content(small_scan))
    path = fetch(source, tmp_path, silent, archive)
    whole = path.read_bytes()
    assert fetch(source, tmp_path, silent, tmp_path / "nowhere.tar.gz") == path
    path.write_bytes(whole[:1000])
    assert fetch(source, tmp_path, silent, archive) == path
    np.testing.assert_array_equal(load_scan(path).diffraction, small_scan.diffraction)


def test_another_content_is_refused(small_scan: Scan, tmp_path: Path) -> None:
    source, archive = make_archive(tmp_path, tike_content(small_scan))
    with pytest.raises(FetchError, match=r"expected SHA-256 0000, found [0-9a-f]{64}"):
        fetch(replace(source, sha256="0000"), tmp_path, silent, archive)
    assert list(tmp_path.glob("*.npz")) == []


def test_an_archive_without_the_member_is_refused(small_scan: Scan, tmp_path: Path) -> None:
    source, archive = make_archive(tmp_path, tike_content(small_scan))
    with pytest.raises(FetchError, match="expected an archive with tike/other"):
        fetch(replace(source, member="tike/other"), tmp_path, silent, archive)
    archive.write_bytes(archive.read_bytes()[:500])
    with pytest.raises(FetchError, match=r"tike-0\.26\.0\.tar\.gz: expected an archive"):
        fetch(source, tmp_path, silent, archive)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("data", np.ones((5, 8, 8), np.float32), r"data: expected \(1, n, h, w\), found \(5, 8, 8\)"),
        ("data", np.ones((1, 5, 32, 32), np.float32), r"scan: expected \(1, 5, 2\), found \(1, 63, 2\)"),
        ("probe", np.ones((1, 8, 8), np.complex64), r"probe: expected \(..., 32, 32\), found \(1, 8, 8\)"),
        ("data", np.full((1, 63, 32, 32), 0.5, np.float32), "data: expected counts"),
    ],
)
def test_a_member_of_another_shape_is_refused(
    small_scan: Scan, tmp_path: Path, key: str, value: object, message: str
) -> None:
    source, archive = make_archive(tmp_path, tike_content(small_scan, **{key: value}))
    with pytest.raises(DataError, match=message):
        fetch(source, tmp_path, silent, archive)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"'star': expected one of: siemens-star, or the path of an \.npz file"):
        find_source("star")


def test_a_set_that_was_not_fetched_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTYCHO_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="fetch it first: python -m ptycho fetch siemens-star"):
        open_scan("siemens-star")


def test_a_file_that_states_its_kind_is_not_overruled(small_scan: Scan, tmp_path: Path) -> None:
    save_scan(tmp_path / "scan.npz", small_scan)
    with pytest.raises(DataError, match="expected no --kind, or --kind counts, which it states; found intensity"):
        open_scan(str(tmp_path / "scan.npz"), DataKind.INTENSITY)


FETCH = """
import sys
from pathlib import Path
from dataclasses import replace
from ptycho.data.fetch import fetch
from ptycho.data.siemens import SIEMENS_STAR
folder, archive, sha256 = sys.argv[1:]
lines = []
fetch(replace(SIEMENS_STAR, sha256=sha256), Path(folder), lines.append, Path(archive))
print(sum(line.startswith("trial") for line in lines))
"""


@pytest.mark.slow
def test_callers_in_other_processes_wait_for_the_first(small_scan: Scan, tmp_path: Path) -> None:
    source, archive = make_archive(tmp_path, tike_content(small_scan))
    command = [sys.executable, "-c", FETCH, str(tmp_path / "cache"), str(archive), source.sha256]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    trials = sorted(int(child.communicate(timeout=60)[0]) for child in children)
    assert trials == [0, 0, 8]
