"""RawData: nothing is lost, nothing wrong gets in, and groups keep the published coordinates."""

import dataclasses
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ptycho.archive import load_arrays
from ptycho.data import DataKind, Scan, save_scan
from ptycho.data.groups import group_frames
from ptycho.data.published import CoordinateFrame, load_published
from ptycho.data.simulation import Simulation, simulate
from ptycho.errors import ConfigError, DataError, ShapeError
from ptycho.physics.groups import read_offsets
from ptycho.raw_data import RawData

ENDINGS = [".npz", ".h5", ".hdf5"]


def assert_equal(found: RawData, expected: RawData) -> None:
    for field in dataclasses.fields(RawData):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype, field.name
            np.testing.assert_array_equal(one, other, strict=True)
        else:
            assert one == other, field.name


def published(**changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(12)
    arrays = {
        "diff3d": rng.poisson(5.0, (7, 6, 8)),
        "xcoords": rng.uniform(5, 20, 7),
        "ycoords": rng.uniform(5, 20, 7),
        "probeGuess": rng.standard_normal((6, 8)) + 0j,
        "objectGuess": rng.standard_normal((40, 45)) + 0j,
        "scan_index": np.zeros(7, int),
    }
    return arrays | changes


def write(path: Path, arrays: dict[str, Any]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for key, array in arrays.items():
                file[key] = array
    return path


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", [np.uint16, np.int64, np.float32, np.float64, ">u4"])
def test_a_data_set_survives_its_file(raw: RawData, tmp_path: Path, ending: str, dtype: str) -> None:
    kept = replace(raw, diff3d=raw.diff3d.astype(dtype), xcoords_start=raw.xcoords + 0.25)
    kept.save(tmp_path / f"data{ending}")
    assert_equal(RawData.from_file(tmp_path / f"data{ending}"), kept)
    assert [path.name for path in tmp_path.iterdir()] == [f"data{ending}"]


@pytest.mark.parametrize("ending", [".npz", ".h5"])
def test_a_mapped_data_set_equals_the_one_in_memory(raw: RawData, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"data{ending}"
    raw.save(path)
    mapped = RawData.from_file(path, memory_map=True)
    assert isinstance(mapped.diff3d, np.memmap)
    assert isinstance(mapped.select(slice(3, 9)).diff3d, np.memmap)
    assert_equal(mapped, raw)


@pytest.mark.parametrize("frames", [[30], [-1], [1.5], [4, 4], [], np.zeros(30, bool), [[0, 1]], "all"])
def test_a_choice_of_frames_that_names_none_is_told_the_choices(raw: RawData, frames: Any) -> None:
    with pytest.raises(ShapeError, match=r"frames: expected indices from 0 to 29, each once, or a mask \(30,\)"):
        raw.select(frames)


def test_frames_are_chosen_by_index_by_mask_and_by_slice(raw: RawData) -> None:
    wanted = np.arange(30) % 7 == 2
    assert_equal(raw.select(np.flatnonzero(wanted)), raw.select(wanted))
    assert_equal(raw.select(slice(2, None, 7)), raw.select(wanted))


@pytest.mark.parametrize("key", ["xcoords", "ycoords", "diff3d", "probeGuess"])
def test_a_list_in_place_of_an_array_is_named(raw: RawData, key: str) -> None:
    with pytest.raises(ShapeError, match=rf"{key}: expected an array \(.*\), found list; numpy\.asarray makes one"):
        replace(raw, **{key: getattr(raw, key).tolist()})


def test_what_cannot_be_mapped_is_named(tmp_path: Path) -> None:
    path = tmp_path / "small.npz"
    np.savez_compressed(path, **published())
    with pytest.raises(DataError, match=r"small\.npz: diff3d: expected it uncompressed"):
        RawData.from_file(path, memory_map=True)
    with h5py.File(tmp_path / "small.h5", "w") as file:
        for key, array in published().items():
            file.create_dataset(key, data=array, compression="lzf" if key == "diff3d" else None)
    with pytest.raises(DataError, match=r"small\.h5: diff3d: expected a contiguous data set"):
        RawData.from_file(tmp_path / "small.h5", memory_map=True)


@pytest.mark.parametrize("ending", [".npz", ".h5"])
def test_a_published_file_is_read_as_the_scan_reader_reads_it(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"pinn{ending}", published())
    found = RawData.from_file(path)
    assert (found.kind, found.frame) == (DataKind.COUNTS, CoordinateFrame.MIDDLE)
    scan = load_published(write(tmp_path / "same.npz", published()))
    np.testing.assert_array_equal(found.probe_positions, scan.probe_positions)
    np.testing.assert_array_equal(found.to_scan().diffraction, scan.diffraction)


def test_amplitudes_are_squared_once_and_say_so(tmp_path: Path) -> None:
    amplitude = np.sqrt(published()["diff3d"])
    path = write(tmp_path / "pinn.npz", published(diff3d=amplitude))
    with pytest.raises(DataError, match="declare what they are"):
        RawData.from_file(path)
    found = RawData.from_file(path, "amplitude")
    np.testing.assert_allclose(found.diff3d, amplitude**2)
    assert found.photons_per_frame is None
    np.testing.assert_allclose(load_published(path, "amplitude").diffraction, amplitude**2, rtol=1e-6)
    with pytest.raises(ConfigError, match="kind: expected one of counts, intensity, amplitude, found 'roots'"):
        load_published(path, "roots")
    found.save(tmp_path / "own.npz")
    again = RawData.from_file(tmp_path / "own.npz")
    assert again.kind is DataKind.AMPLITUDE
    assert_equal(again, found)
    with pytest.raises(DataError, match=r"own\.npz: kind: expected amplitude, .* found counts"):
        RawData.from_file(tmp_path / "own.npz", DataKind.COUNTS)


def test_a_scan_becomes_a_data_set_in_its_truths_frame_and_back(tmp_path: Path) -> None:
    scan = simulate(Simulation(rows=4, columns=5, frame_px=32, step_px=3.0, spokes=8))
    save_scan(tmp_path / "scan.npz", scan)
    found = RawData.from_file(tmp_path / "scan.npz")
    assert isinstance(scan.truth_origin, np.ndarray)
    np.testing.assert_allclose(found.probe_positions, scan.probe_positions - scan.truth_origin)
    back = found.to_scan()
    assert isinstance(back, Scan)
    np.testing.assert_array_equal(back.diffraction, scan.diffraction)
    assert found.photons_per_frame == pytest.approx(scan.photons_per_frame)


@pytest.mark.parametrize("ending", [".npz", ".h5"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"diff3d": np.ones((6, 8, 7), int)}, r"diff3d: expected \(7, 6, 8\) .* found \(6, 8, 7\).*frames first"),
        ({"diff3d": np.ones((6, 6, 8), int)}, r"xcoords: expected \(6,\) for diff3d \(6, 6, 8\), found \(7,\)"),
        ({"diff3d": np.ones((7, 6, 8)) * np.nan}, r"diff3d: expected finite values >= 0, .* in \(7, 6, 8\)"),
        ({"diff3d": -np.ones((7, 6, 8), int)}, r"diff3d: expected finite values >= 0, .* in \(7, 6, 8\)"),
        ({"diff3d": np.ones((7, 6, 8)) + 0j}, r"diff3d: expected \(n, h, w\), found \(7, 6, 8\) of complex128"),
        ({"ycoords": np.ones((7, 1))}, r"ycoords: expected \(7,\) .* found \(7, 1\)"),
        ({"probeGuess": np.full((6, 8), np.nan)}, r"probeGuess: expected finite values, .* in \(6, 8\)"),
        ({"objectGuess": np.ones((1, 40, 45))}, r"objectGuess: expected \(H, W\), found \(1, 40, 45\)"),
        ({"scan_index": np.zeros(6)}, r"scan_index: expected \(7,\) .* found \(6,\)"),
        ({"bad_pixels": np.zeros((8, 6))}, r"bad_pixels: expected \(6, 8\) .* found \(8, 6\)"),
        ({"xcoords": np.full(7, b"a")}, r"xcoords: expected numbers, found \(7,\)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_file_is_named_with_key_and_shapes(
    tmp_path: Path, ending: str, changes: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / f"wrong{ending}", published(**changes))
    with pytest.raises(DataError, match=rf"wrong{ending}: {message}"):
        RawData.from_file(path)


@pytest.mark.parametrize("ending", [".npz", ".h5"])
def test_missing_keys_and_truncated_files_are_named(raw: RawData, tmp_path: Path, ending: str) -> None:
    arrays = published()
    del arrays["probeGuess"]
    with pytest.raises(DataError, match=r"expected key 'probeGuess' \(m, h, w\), found diff3d \(7, 6, 8\)"):
        RawData.from_file(write(tmp_path / f"missing{ending}", arrays))
    path = tmp_path / f"short{ending}"
    raw.save(path)
    content = path.read_bytes()
    for kept in (0, 100, len(content) // 2, len(content) - 10):
        path.write_bytes(content[:kept])
        for memory_map in (False, True):
            with pytest.raises(DataError, match=rf"short{ending}: "):
                RawData.from_file(path, memory_map=memory_map)
    with pytest.raises(DataError, match="nowhere"):
        RawData.from_file(tmp_path / f"nowhere{ending}")


def test_what_is_saved_holds_no_python_objects_and_a_strange_ending_is_refused(raw: RawData, tmp_path: Path) -> None:
    raw.save(tmp_path / "data.npz")
    assert not any(array.dtype.hasobject for array in load_arrays(tmp_path / "data.npz").values())
    with pytest.raises(ConfigError, match=r"expected a name that ends in \.npz, \.h5 or \.hdf5, found '\.mat'"):
        raw.save(tmp_path / "data.mat")


# Groups under their published names


@pytest.mark.parametrize("gridsize", [1, 2, 3])
def test_ground_truth_patches_show_their_own_coordinates(raw: RawData, gridsize: int) -> None:
    grouped = raw.generate_grouped_data(12, nsamples=None, gridsize=gridsize)
    members = grouped["nn_indices"]
    centre = np.asarray(grouped["Y"])[:, 4, 6]
    np.testing.assert_allclose(centre, raw.ycoords[members] + 1j * raw.xcoords[members], atol=1e-4)


def test_published_coordinates_are_x_first_and_relative_ones_negated() -> None:
    """Objects at (y, x), groups that are not square."""
    positions = np.array([[1.0, 10.0], [2.0, 30.0], [5.0, 20.0], [0.0, 60.0]])
    n = len(positions)
    raw = RawData.from_coords_without_pc(positions[:, 1], positions[:, 0], np.ones((n, 4, 4), int), np.ones((4, 4)))
    grouped = raw.generate_grouped_data(4, K=3, nsamples=None, gridsize=2)
    assert grouped["coords_offsets"].shape == (4, 1, 2, 1)
    assert grouped["coords_relative"].shape == (4, 1, 2, 4)
    np.testing.assert_allclose(grouped["coords_offsets"][:, 0, :, 0], [[30.0, 2.0]] * 4)
    for row, members in zip(grouped["coords_relative"], grouped["nn_indices"], strict=True):
        np.testing.assert_allclose(row[0, 0], -(positions[members, 1] - 30))
        np.testing.assert_allclose(row[0, 1], -(positions[members, 0] - 2))
    expected = group_frames(positions, 4, neighbours=3)
    np.testing.assert_allclose(read_offsets(grouped["coords_relative"]), expected.offsets)


def test_nominal_positions_have_coordinates_of_their_own(raw: RawData) -> None:
    moved = replace(raw, xcoords_start=raw.xcoords + 2.0, ycoords_start=raw.ycoords - 1.0)
    grouped = moved.generate_grouped_data(12, nsamples=5, gridsize=2)
    np.testing.assert_allclose(grouped["coords_start_offsets"] - grouped["coords_offsets"], [[[[2.0], [-1.0]]]] * 5)
    np.testing.assert_allclose(grouped["coords_start_relative"], grouped["coords_relative"], atol=1e-12)


def test_ptychodus_asks_for_groups_as_it_does(raw: RawData) -> None:
    grouped = raw.generate_grouped_data(12, K=7, nsamples=1, gridsize=1)
    assert grouped["diffraction"].shape == (1, 8, 12, 1)
    with pytest.raises(ShapeError, match=r"N: expected 12 for diff3d \(30, 8, 12\), found 64"):
        raw.generate_grouped_data(64)


def test_grouping_computes_no_frames(raw: RawData) -> None:
    tracemalloc.start()
    grouped = raw.generate_grouped_data(12, nsamples=20_000, gridsize=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    whole = 4 * np.prod(grouped["diffraction"].shape)
    assert peak < whole / 4
    np.testing.assert_array_equal(
        grouped["diffraction"][[19_999]], np.asarray(grouped["diffraction"].select(slice(-1, None)))
    )


def test_a_normalisation_is_fitted_once_and_passed_on(raw: RawData) -> None:
    train = raw.select(slice(0, 20)).generate_grouped_data(12, nsamples=None)
    brighter = replace(raw, diff3d=4 * raw.diff3d)
    test = brighter.generate_grouped_data(12, nsamples=None, normalisation=train["normalisation"])
    np.testing.assert_allclose(test["diffraction"][:20], 2 * train["diffraction"][:20], rtol=1e-6)


def test_kind_and_frame_may_be_given_as_text_and_wrong_ones_are_named(raw: RawData) -> None:
    told = replace(raw, kind="counts", frame="middle")
    assert (told.kind, told.frame) == (DataKind.COUNTS, CoordinateFrame.MIDDLE)
    assert told.photons_per_frame == raw.photons_per_frame
    assert replace(told.to_scan(), kind="intensity").photons_per_frame is None
    for name in ("kind", "frame"):
        with pytest.raises(ConfigError, match=f"{name}: expected one of .*, found 'other'"):
            RawData.from_coords_without_pc(raw.xcoords, raw.ycoords, raw.diff3d, raw.probeGuess, **{name: "other"})


@pytest.mark.parametrize("request_", [{"gridsize": -1}, {"gridsize": 1.5}, {"K": 1.5}, {"nsamples": 2.5}], ids=repr)
def test_groups_that_cannot_be_counted_are_refused(raw: RawData, request_: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected a whole number >= "):
        raw.generate_grouped_data(12, **request_)
