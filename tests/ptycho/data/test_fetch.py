"""Fetching: from an archive of the layout that the package has, into a cache that other processes share."""

import bz2
import hashlib
import io
import os
import pickle
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.fft

from ptycho.cli import main
from ptycho.data import DataKind, Scan, load_scan, save_scan
from ptycho.data.catalog import SOURCES, TRUE_POSITIONS, find_source, open_scan
from ptycho.data.fetch import Source, cached_path, fetch
from ptycho.data.tike import POSITION_ERROR, SIEMENS_STAR
from ptycho.errors import DataError, FetchError
from ptycho.solvers import RPIEOptions, reconstruct


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


def pickled_content(scan: Scan, /, **changes: object) -> bytes:
    """The bytes of a pickle as tike lays it out: wrong positions first, then the true ones."""
    corners = scan.probe_positions - np.array(scan.frame_shape) // 2
    wrong = corners + np.random.default_rng(4).normal(0, 2, corners.shape)
    arrays = {
        "data": scipy.fft.ifftshift(scan.diffraction, axes=(1, 2)).astype(np.uint16),
        "scan": wrong.astype(np.float32),
        "scan_truth": corners.astype(np.float32),
        "probe": (1e-3 * scan.probe)[None, None].astype(np.complex128),
    }
    return pickle.dumps(list((arrays | changes).values()), 4)


def make_archive(folder: Path, content: bytes, base: Source = SIEMENS_STAR) -> tuple[Source, Path]:
    """A source archive with one member, and the source that asks for it."""
    packed = bz2.compress(content)
    path = folder / "tike-0.26.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo(base.member)
        entry.size = len(packed)
        tar.addfile(entry, io.BytesIO(packed))
    return replace(base, sha256=hashlib.sha256(packed).hexdigest()), path


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


def test_a_pickled_set_brings_both_its_measured_and_its_true_positions(
    small_scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, archive = make_archive(tmp_path, pickled_content(small_scan), POSITION_ERROR)
    monkeypatch.setattr("ptycho.data.catalog.SOURCES", (source,))
    monkeypatch.setattr("ptycho.data.catalog.TRUE_POSITIONS", {"position-error-true": source})
    monkeypatch.setenv("PTYCHO_CACHE", str(tmp_path))
    assert find_source("position-error-true") is find_source("position-error")
    fetch(source, tmp_path, silent, archive)
    wrong, right = open_scan("position-error"), open_scan("position-error-true")
    assert (wrong.name, right.name) == ("position-error", "position-error-true")
    for scan in (wrong, right):
        np.testing.assert_array_equal(scan.diffraction, small_scan.diffraction)  # DC was at the corner
        np.testing.assert_allclose(scan.positions_truth, small_scan.probe_positions, atol=1e-4)
        assert np.sum(np.abs(scan.probe) ** 2) == pytest.approx(scan.photons_per_frame, rel=1e-4)
        assert scan.provenance["conventions"]["position_axes"] == "yx"  # type: ignore[index]
        assert scan.provenance["conventions"]["detector_origin"] == "corner"  # type: ignore[index]
    np.testing.assert_array_equal(right.probe_positions, right.positions_truth)
    np.testing.assert_array_equal(wrong.select([5, 2]).positions_truth, right.select([5, 2]).probe_positions)
    off = wrong.probe_positions - small_scan.probe_positions
    assert 1.5 < np.sqrt(np.mean(off**2)) < 2.5
    assert "scan_truth" in str(wrong.provenance["positions"])
    assert wrong.provenance["positions"] != right.provenance["positions"]


def test_conventions_are_undone_on_both_sets_of_positions(small_scan: Scan, tmp_path: Path) -> None:
    turned = (small_scan.probe_positions - np.array(small_scan.frame_shape) // 2)[:, ::-1].astype(np.float32)
    content = pickled_content(small_scan, scan_truth=turned, scan=turned + np.float32(0.25))
    source, archive = make_archive(tmp_path, content, POSITION_ERROR)
    scan = load_scan(fetch(source, tmp_path, silent, archive))
    np.testing.assert_allclose(scan.positions_truth, small_scan.probe_positions, atol=1e-4)
    np.testing.assert_allclose(scan.probe_positions, small_scan.probe_positions + 0.25, atol=1e-4)


def test_dead_pixels_amid_bright_ones_are_masked_and_dark_corners_are_not(small_scan: Scan, tmp_path: Path) -> None:
    frames = scipy.fft.ifftshift(small_scan.diffraction, axes=(1, 2)).astype(np.uint16)
    bright = np.argwhere(frames.sum(axis=0) > 20_000)[[3, 9]]
    frames[:, *bright.T] = 0
    source, archive = make_archive(tmp_path, pickled_content(small_scan, data=frames), POSITION_ERROR)
    scan = load_scan(fetch(source, tmp_path, silent, archive))
    dead = scipy.fft.ifftshift(~scan.mask)
    np.testing.assert_array_equal(np.argwhere(dead), bright)
    assert str(scan.provenance["dead_pixels"]).startswith("2, masked")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("data", np.ones((1, 63, 32, 32), np.uint16), r"data: expected \(n, h, w\), found \(1, 63, 32, 32\)"),
        (
            "data",
            np.ones((63, 32, 32), np.complex64),
            r"data: expected real numbers, found \(63, 32, 32\) of complex64",
        ),
        ("data", np.zeros((63, 32, 32), np.uint16), r"data: expected counts, found only zeros"),
        ("scan_truth", np.ones((62, 2), np.float32), r"scan_truth: expected \(63, 2\), found \(62, 2\)"),
        ("scan", np.full((63, 2), np.nan, np.float32), "probe_positions: expected finite values"),
        ("probe", np.zeros((1, 32, 32)), "probe: expected some light, found only zeros"),
        ("probe", np.ones((32, 31)), r"probe: expected \(..., 32, 32\), found \(32, 31\)"),
        ("more", np.ones(3), "expected 4 arrays: data, scan, scan_truth, probe; found 5"),
        ("data", Path("x"), r"found pathlib[\w.]*\.PosixPath, which is no part of an array; nothing was run"),
    ],
)
def test_a_pickle_of_another_layout_is_refused(
    small_scan: Scan, tmp_path: Path, key: str, value: object, message: str
) -> None:
    source, archive = make_archive(tmp_path, pickled_content(small_scan, **{key: value}), POSITION_ERROR)
    with pytest.raises(DataError, match=message):
        fetch(source, tmp_path / "cache", silent, archive)
    assert list((tmp_path / "cache").glob("*.npz")) == []


def test_a_hostile_pickle_is_not_even_opened_when_its_checksum_differs(small_scan: Scan, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "mark"),)

    source, archive = make_archive(tmp_path, pickle.dumps([Hostile()]), POSITION_ERROR)
    with pytest.raises(FetchError, match="expected SHA-256 e3f8b607"):
        fetch(POSITION_ERROR, tmp_path, silent, archive)
    with pytest.raises(DataError, match=r"found \w+\.mkdir, which is no part of an array"):
        fetch(source, tmp_path, silent, archive)
    assert not (tmp_path / "mark").exists()


@pytest.mark.network
@pytest.mark.slow
def test_the_set_with_position_errors_is_fetched_and_explained_at_its_true_positions_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTYCHO_CACHE", str(tmp_path))
    fetch(POSITION_ERROR, tmp_path, silent)
    wrong, right = open_scan("position-error"), open_scan("position-error-true")
    assert (wrong.n_frames, wrong.frame_shape, len(wrong.probe)) == (481, (128, 128), 3)
    assert right.photons_per_frame == pytest.approx(5.07e7, rel=1e-3)
    off = wrong.probe_positions - right.probe_positions
    assert np.sqrt(np.square(off).sum(axis=1).mean()) == pytest.approx(9.757, abs=1e-3)
    assert right.provenance["conventions"]["detector_origin"] == "corner"  # type: ignore[index]
    assert right.provenance["conventions"]["position_axes"] == "yx"  # type: ignore[index]
    options = RPIEOptions(epochs=20, modes=3, threads=1)
    assert reconstruct(right, options=options).history[-1] == pytest.approx(0.0135, abs=0.001)
    assert reconstruct(wrong, options=options).history[-1] > 0.03


def test_the_help_of_the_command_line_names_every_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("fetch", "info"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        said = "".join(capsys.readouterr().out.split())  # lines are broken at hyphens
        assert all(name in said for name in [*(source.name for source in SOURCES), *TRUE_POSITIONS])


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    known = "siemens-star, position-error, position-error-true"
    with pytest.raises(DataError, match=rf"'star': expected one of: {known}, or the path of an \.npz file"):
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
from ptycho.data.tike import SIEMENS_STAR
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
