"""The scan record and its file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptycho.archive import load_arrays, save_arrays
from ptycho.data import DataKind, Scan, load_scan, save_scan
from ptycho.errors import DataError, ShapeError


def test_a_scan_survives_its_file(small_scan: Scan, tmp_path: Path) -> None:
    scan = replace(small_scan, pixel_size_m=2e-8, positions_truth=small_scan.probe_positions + 0.5)
    save_scan(tmp_path / "scan.npz", scan)
    again = load_scan(tmp_path / "scan.npz")
    for name in ("diffraction", "probe_positions", "probe", "mask", "object_truth", "truth_origin", "positions_truth"):
        assert getattr(again, name).dtype == getattr(scan, name).dtype
        np.testing.assert_array_equal(getattr(again, name), getattr(scan, name))
    for name in ("name", "kind", "pixel_size_m", "provenance"):
        assert getattr(again, name) == getattr(scan, name)


def test_a_file_is_written_whole_or_not_at_all(small_scan: Scan, tmp_path: Path) -> None:
    class NoArray:
        """Cannot be saved without pickle."""

    path = tmp_path / "scan.npz"
    save_scan(path, small_scan)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="allow_pickle"):
        save_arrays(path, {"broken": np.array([NoArray()])})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_truncated_file_is_an_error(small_scan: Scan, tmp_path: Path, kept: float) -> None:
    path = tmp_path / "scan.npz"
    save_scan(path, small_scan)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    with pytest.raises(DataError, match=r"scan\.npz: expected a complete \.npz file"):
        load_scan(path)


def test_a_missing_key_is_named_with_what_is_there(small_scan: Scan, tmp_path: Path) -> None:
    path = tmp_path / "scan.npz"
    save_scan(path, small_scan)
    arrays = load_arrays(path)
    del arrays["probe"]
    save_arrays(path, arrays)
    with pytest.raises(DataError, match=r"expected key 'probe' \(m, h, w\), found diffraction \(63, 32, 32\)"):
        load_scan(path)


def test_a_file_with_python_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scan.npz"
    np.savez(path, format=np.array({"a": 1}, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="plain arrays"):
        load_scan(path)


def test_wrong_arrays_are_named_with_found_and_expected(small_scan: Scan) -> None:
    with pytest.raises(ShapeError, match=r"probe_positions: expected \(63, 2\) .* found \(62, 2\)"):
        replace(small_scan, probe_positions=small_scan.probe_positions[1:])
    with pytest.raises(ShapeError, match=r"probe: expected \(32, 32\) .* found \(31, 32\)"):
        replace(small_scan, probe=small_scan.probe[:, 1:])
    with pytest.raises(ShapeError, match=r"diffraction: expected 3 axes of float32, found .* of float64"):
        replace(small_scan, diffraction=small_scan.diffraction.astype(np.float64))
    with pytest.raises(ShapeError, match=r"positions_truth: expected \(63, 2\) .* found \(62, 2\)"):
        replace(small_scan, positions_truth=small_scan.probe_positions[1:])
    with pytest.raises(ShapeError, match="positions_truth: expected finite values, found NaN"):
        replace(small_scan, positions_truth=np.full((63, 2), np.nan))
    with pytest.raises(ShapeError, match=r"positions_truth: expected \(n, 2\), found none"):
        small_scan.at_true_positions()
    frames_last = np.ascontiguousarray(small_scan.diffraction.transpose(1, 2, 0))
    with pytest.raises(ShapeError, match=r"diffraction: expected \(63, 32, 32\) .* found \(32, 32, 63\).*frames first"):
        replace(small_scan, diffraction=frames_last)


@pytest.mark.parametrize("value", [np.nan, -1.0, np.inf])
def test_impossible_intensities_are_an_error(small_scan: Scan, value: float) -> None:
    spoilt = small_scan.diffraction.copy()
    spoilt[3, 4, 5] = value
    with pytest.raises(ShapeError, match="diffraction: expected finite values"):
        replace(small_scan, diffraction=spoilt)


def test_the_dose_counts_valid_pixels_and_needs_counts(small_scan: Scan) -> None:
    mask = np.ones_like(small_scan.mask)
    mask[:16] = False
    expected = small_scan.diffraction[:, 16:].sum(axis=(1, 2)).mean()
    assert replace(small_scan, mask=mask).photons_per_frame == pytest.approx(expected)
    assert replace(small_scan, kind=DataKind.INTENSITY).photons_per_frame is None


def test_selecting_keeps_frames_and_positions_together(small_scan: Scan) -> None:
    part = small_scan.select([5, 2])
    np.testing.assert_array_equal(part.diffraction, small_scan.diffraction[[5, 2]])
    np.testing.assert_array_equal(part.probe_positions, small_scan.probe_positions[[5, 2]])


def test_frames_are_named_by_indices_or_by_a_mask(small_scan: Scan) -> None:
    mask = np.arange(63) % 3 == 1
    np.testing.assert_array_equal(small_scan.index_frames(), np.arange(63))
    np.testing.assert_array_equal(small_scan.index_frames(mask), np.flatnonzero(mask))
    np.testing.assert_array_equal(small_scan.index_frames([5, 2]), [5, 2])


@pytest.mark.parametrize(
    "frames",
    [[], [63], [-1], [0, 0], [1.0], np.zeros(63, bool), np.ones(62, bool), [[1, 2]], 3, "train", [None]],
    ids=lambda frames: np.array2string(np.asarray(frames), threshold=3),
)
def test_frames_that_there_are_none_of_are_named(small_scan: Scan, frames: Any) -> None:
    with pytest.raises(ShapeError, match=r"frames: expected indices from 0 to 62, each once, or a mask \(63,\)"):
        small_scan.index_frames(frames)
