"""Every wrong file, by every reader of it: the error names the file, the key, the shape found and what was expected."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ptycho.archive import load_arrays
from ptycho.data import Scan, load_scan, save_scan
from ptycho.data.catalog import open_scan
from ptycho.data.published import load_published
from ptycho.errors import DataError
from ptycho.raw_data import RawData
from ptycho.reconstruction import Reconstruction, load_reconstruction, save_reconstruction

Arrays = dict[str, Any]
Reader = Callable[[Path], object]
Change = Callable[[Arrays], Arrays]

N, H, W = 7, 6, 8


def open_mapped(path: Path) -> RawData:
    return RawData.from_file(path, memory_map=True)


def open_any(path: Path) -> Scan:
    return open_scan(str(path))


OF_PUBLISHED: dict[str, tuple[Reader, ...]] = {
    ".npz": (load_published, open_any, RawData.from_file, open_mapped),
    ".h5": (RawData.from_file, open_mapped),
}


def make_published() -> Arrays:
    rng = np.random.default_rng(12)
    return {
        "diff3d": rng.poisson(5.0, (N, H, W)).astype(np.float32),
        "xcoords": rng.uniform(5, 20, N),
        "ycoords": rng.uniform(5, 20, N),
        "probeGuess": rng.standard_normal((2, H, W)) + 1j,
        "objectGuess": rng.standard_normal((40, 45)) + 0j,
        "scan_index": np.zeros(N, int),
        "xcoords_start": rng.uniform(5, 20, N),
        "bad_pixels": np.zeros((H, W), bool),
    }


def put(key: str, value: float) -> Change:
    """The last element of an array becomes a value."""

    def change(arrays: Arrays) -> Arrays:
        spoilt = arrays[key].astype(np.result_type(arrays[key], type(value)))
        spoilt.flat[-1] = value
        return {**arrays, key: spoilt}

    return change


def turn(key: str, of: Callable[[Any], Any]) -> Change:
    return lambda arrays: {**arrays, key: of(arrays[key])}


def leave_out(key: str) -> Change:
    return lambda arrays: {name: array for name, array in arrays.items() if name != key}


def write(path: Path, arrays: Arrays) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
        return path
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file[key] = array.astype("S") if array.dtype.kind == "U" else array
    return path


def assert_refused(path: Path, readers: tuple[Reader, ...], message: str) -> None:
    for reader in readers:
        with pytest.raises(DataError, match=rf"^{path}: {message}"):
            reader(path)


@pytest.mark.parametrize("ending", OF_PUBLISHED)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (leave_out("diff3d"), r"expected key 'diff3d' \(n, h, w\), found bad_pixels \(6, 8\), objectGuess \(40, 45\)"),
        (leave_out("xcoords"), r"expected key 'xcoords' \(n,\), found .*diff3d \(7, 6, 8\)"),
        (leave_out("probeGuess"), r"expected key 'probeGuess' \(m, h, w\), found .*diff3d \(7, 6, 8\)"),
        (turn("diff3d", lambda a: a.transpose(1, 2, 0)), r"diff3d: expected \(7, 6, 8\) .* found \(6, 8, 7\).*first"),
        (turn("diff3d", lambda a: a.T), r"diff3d: expected \(7, 6, 8\) .* found \(8, 6, 7\).*first"),
        (
            turn("diff3d", lambda a: a.transpose(0, 2, 1)),
            r"probeGuess: expected \(8, 6\) or \(m, 8, 6\) to match diff3d \(7, 8, 6\), found \(2, 6, 8\)",
        ),
        (put("diff3d", np.nan), r"diff3d: expected finite values >= 0, found NaN.* in \(7, 6, 8\)"),
        (put("diff3d", np.inf), r"diff3d: expected finite values >= 0, found .* in \(7, 6, 8\)"),
        (put("diff3d", -1.0), r"diff3d: expected finite values >= 0, found .* negative ones in \(7, 6, 8\)"),
        (turn("diff3d", lambda a: a * 0.37), r"diff3d: expected whole numbers .*, found fractions in \(7, 6, 8\)"),
        (turn("diff3d", lambda a: a * 0), r"diff3d: expected light, found only zeros in \(7, 6, 8\)"),
        (turn("probeGuess", lambda a: a * 0), r"probeGuess: expected light, found only zeros in \(2, 6, 8\)"),
        (turn("diff3d", lambda a: a + 0j), r"diff3d: expected \(n, h, w\), found \(7, 6, 8\) of complex64; real"),
        (turn("diff3d", lambda a: a.astype("U9")), r"diff3d: expected \(n, h, w\), found \(7, 6, 8\) of [<|]"),
        (turn("diff3d", lambda a: a[..., None]), r"diff3d: expected \(n, h, w\), found \(7, 6, 8, 1\)"),
        (turn("xcoords", lambda a: a[:-1]), r"xcoords: expected \(7,\) for diff3d \(7, 6, 8\), found \(6,\)"),
        (turn("ycoords", lambda a: a[:, None]), r"ycoords: expected \(7,\) for diff3d \(7, 6, 8\), found \(7, 1\)"),
        (put("ycoords", np.nan), r"ycoords: expected finite values, found NaN or infinity in \(7,\)"),
        (put("xcoords_start", np.nan), r"xcoords_start: expected finite values, found NaN or infinity in \(7,\)"),
        (turn("xcoords_start", lambda a: a + 0j), r"xcoords_start: expected numbers, found \(7,\) of complex128"),
        (turn("probeGuess", lambda a: np.moveaxis(a, 0, -1)), r"probeGuess: expected \(6, 8\) or .* \(6, 8, 2\)"),
        (turn("probeGuess", lambda a: a[:0]), r"probeGuess: expected \(6, 8\) or \(m, 6, 8\) .*, found \(0, 6, 8\)"),
        (turn("objectGuess", lambda a: a[:0]), r"objectGuess: expected \(H, W\), found \(0, 45\); no length 0"),
        (put("objectGuess", np.nan), r"objectGuess: expected finite values, found NaN or infinity in \(40, 45\)"),
        (turn("bad_pixels", lambda a: a.T), r"bad_pixels: expected \(6, 8\) for diff3d \(7, 6, 8\), found \(8, 6\)"),
        (turn("bad_pixels", lambda a: ~a), r"bad_pixels: expected a pixel to be believed, found none in \(6, 8\)"),
        (turn("bad_pixels", lambda a: a * np.nan), r"bad_pixels: expected finite values, found NaN .* in \(6, 8\)"),
        (turn("bad_pixels", lambda a: a.astype("S5")), r"bad_pixels: expected numbers, found \(6, 8\) of \|S5"),
        (put("scan_index", 0.5), r"scan_index: expected whole numbers, found fractions in \(7,\)"),
        (turn("scan_index", lambda a: a[1:]), r"scan_index: expected \(7,\) for diff3d \(7, 6, 8\), found \(6,\)"),
    ],
)
def test_a_wrong_file_is_refused_with_key_and_shapes(tmp_path: Path, ending: str, change: Change, message: str) -> None:
    path = write(tmp_path / f"wrong{ending}", change(make_published()))
    assert_refused(path, OF_PUBLISHED[ending], message)


def test_axes_in_another_order_are_told_although_a_frame_is_square(tmp_path: Path) -> None:
    arrays = make_published() | {"probeGuess": np.ones((8, 8), complex), "bad_pixels": np.zeros((8, 8), bool)}
    path = write(tmp_path / "wrong.npz", arrays | {"diff3d": np.ones((8, 8, 7))})
    assert_refused(path, OF_PUBLISHED[".npz"], r"diff3d: expected \(7, 8, 8\) .* found \(8, 8, 7\)")


@pytest.mark.parametrize("ending", OF_PUBLISHED)
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"short{ending}", make_published())
    content = path.read_bytes()
    for kept in (0, 3, 100, len(content) // 3, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:kept])
        assert_refused(path, OF_PUBLISHED[ending], "expected a complete")


def test_what_is_no_archive_of_arrays_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.ones(4))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    write(tmp_path / "other.h5", make_published()).rename(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("diff3d", encoding="utf-8")
    for name in ("one", "other", "text"):
        message = r"expected a complete \.npz file of plain arrays, found no zip archive"
        assert_refused(tmp_path / f"{name}.npz", (*OF_PUBLISHED[".npz"], load_scan, load_reconstruction), message)
    for ending, readers in OF_PUBLISHED.items():
        assert_refused(tmp_path / f"none{ending}", readers, "expected an .*: No such file")
        (tmp_path / f"folder{ending}").mkdir()
        assert_refused(tmp_path / f"folder{ending}", readers, "expected an .*: Is a directory")


def test_a_zip_of_other_things_holds_no_arrays(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as archive:
        archive.writestr("diff3d", "not an array")
    for reader in (load_published, RawData.from_file, load_scan, load_reconstruction):
        with pytest.raises(DataError, match=r"zip\.npz: expected key '\w+'.*, found no arrays"):
            reader(tmp_path / "zip.npz")


@pytest.mark.parametrize("ending", OF_PUBLISHED)
def test_a_damaged_directory_of_a_file_is_refused(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"damaged{ending}", make_published())
    content = path.read_bytes()
    for name in (b"xcoords", b"xcoords.npy", b"'descr'", b"TREE"):
        if name in content:
            path.write_bytes(content.replace(name, b"\xf3" + name[1:]))
            assert_refused(path, OF_PUBLISHED[ending], "expected ")


def test_what_lies_in_another_file_is_not_mapped(tmp_path: Path) -> None:
    """An offset into the other file, applied to this one, would show arbitrary bytes as frames."""
    arrays = make_published()
    write(tmp_path / "frames.h5", arrays)
    path = write(tmp_path / "links.h5", leave_out("diff3d")(arrays))
    with h5py.File(path, "a") as file:
        file["diff3d"] = h5py.ExternalLink("frames.h5", "/diff3d")
    assert_refused(path, (open_mapped,), r"diff3d: expected a contiguous data set in this file, found .* link")
    path = write(tmp_path / "apart.h5", leave_out("diff3d")(arrays))
    with h5py.File(path, "a") as file:
        file.create_dataset(
            "diff3d", data=arrays["diff3d"], external=[(tmp_path / "apart.raw", 0, arrays["diff3d"].nbytes)]
        )
    assert_refused(path, (open_mapped,), r"diff3d: expected a contiguous data set in this file")


@pytest.fixture
def raw_file(small_scan: Scan, tmp_path: Path) -> Path:
    RawData.from_scan(small_scan).save(tmp_path / "raw.npz")
    return tmp_path / "raw.npz"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (leave_out("mask"), r"expected key 'mask' \(h, w\), found diff3d \(63, 32, 32\)"),
        (leave_out("scan_index"), r"expected key 'scan_index' \(n,\), found"),
        (leave_out("kind"), r"expected key 'kind' \(\), found"),
        (turn("kind", lambda _: np.array("photons")), r"kind: expected one of counts, .*, found 'photons'"),
        (turn("frame", lambda _: np.ones(3)), r"frame: expected one text \(\), found \(3,\) of float64"),
        (turn("mask", lambda a: a * 1), r"mask: expected bool, found \(32, 32\) of int64"),
        (turn("mask", lambda a: ~a), r"mask: expected a pixel to be believed, found none in \(32, 32\)"),
        (turn("xcoords_start", lambda a: a + 0j), r"xcoords_start: expected numbers, found \(63,\) of complex128"),
    ],
)
def test_a_damaged_file_of_our_own_is_no_data_set(raw_file: Path, change: Change, message: str) -> None:
    write(raw_file, change(load_arrays(raw_file)))
    assert_refused(raw_file, (RawData.from_file, open_mapped, load_published, open_any), message)


def test_every_reader_sees_the_same_positions_and_mask_in_a_file_of_our_own(small_scan: Scan, tmp_path: Path) -> None:
    """Its coordinates name another point of a patch than those of a published file: half a pixel, silently."""
    mask = np.ones_like(small_scan.mask)
    mask[3:5] = False
    raw = RawData.from_scan(replace(small_scan, mask=mask))
    raw.save(tmp_path / "raw.npz")
    for scan in (load_published(tmp_path / "raw.npz"), open_any(tmp_path / "raw.npz")):
        np.testing.assert_array_equal(scan.probe_positions, raw.probe_positions)
        np.testing.assert_array_equal(scan.mask, raw.mask)
        np.testing.assert_array_equal(scan.diffraction, raw.diff3d)
        assert scan.kind is raw.kind


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (leave_out("object"), r"expected key 'object' \(H, W\), found coverage \(50, 60\)"),
        (turn("object", lambda a: a[0]), r"object: expected \(H, W\), none of them 0, found \(60,\)"),
        (turn("object", lambda a: a.astype("U40")), r"object: expected complex64, found \(50, 60\) of <U40"),
        (put("object", np.nan), r"object: expected finite values, found NaN or infinity in \(50, 60\)"),
        (turn("probe", lambda a: a[0]), r"probe: expected \(m, h, w\), none of them 0, found \(32, 32\)"),
        (turn("origin", lambda a: a[:1]), r"origin: expected \(2,\), found \(1,\)"),
        (turn("probe_positions", lambda a: a.T), r"probe_positions: expected \(63, 2\), found \(2, 63\)"),
        (turn("coverage", lambda a: a.T), r"coverage: expected \(50, 60\), found \(60, 50\)"),
        (turn("frames", lambda a: a + 0.5), r"frames: expected int64, found \(63,\) of float64"),
        (turn("frames", lambda _: np.array(3)), r"frames: expected \(n,\), none of them 0, found \(\)"),
        (turn("frames", lambda a: a - 1), r"frames: expected indices of frames >= 0, found -1"),
        (turn("history", lambda _: np.array(0.1)), r"history: expected \(e,\), found \(\)"),
        (turn("seconds", lambda _: np.ones(3)), r"seconds: expected one number \(\), found \(3,\) of float64"),
    ],
)
def test_a_wrong_reconstruction_is_refused_with_key_and_shapes(
    small_scan: Scan, tmp_path: Path, change: Change, message: str
) -> None:
    path = tmp_path / "reconstruction.npz"
    whole = Reconstruction(
        object=np.ones((50, 60), np.complex64),
        probe=small_scan.probe,
        origin=np.zeros(2),
        probe_positions=small_scan.probe_positions,
        frames=np.arange(63),
        coverage=np.ones((50, 60), np.float32),
        history=(0.3, 0.2),
    )
    save_reconstruction(path, whole)
    write(path, change(load_arrays(path)))
    assert_refused(path, (load_reconstruction,), message)


# A scan file is told below; its arrays are checked by the record.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (leave_out("probe"), r"expected key 'probe' \(m, h, w\), found diffraction \(63, 32, 32\)"),
        (
            turn("diffraction", lambda a: a.transpose(1, 2, 0)),
            r"diffraction: expected \(63, 32, 32\) .* found \(32, 32, 63\).*frames first",
        ),
        (put("diffraction", np.nan), r"diffraction: expected finite values >= 0, found .* in \(63, 32, 32\)"),
        (put("diffraction", -1.0), r"diffraction: expected finite values >= 0, found .* in \(63, 32, 32\)"),
        (turn("diffraction", lambda a: a + 0j), r"diffraction: expected float32, found \(63, 32, 32\) of complex64"),
        (turn("diffraction", lambda a: a * 0), r"diffraction: expected light, found only zeros in \(63, 32, 32\)"),
        (turn("probe", lambda a: a * 0), r"probe: expected light, found only zeros in \(1, 32, 32\)"),
        (turn("diffraction", lambda a: a.astype("U9")), r"diffraction: expected float32, found .* of <U9"),
        (turn("diffraction", lambda a: a[:, :0]), r"diffraction: expected \(n, h, w\), found \(63, 0, 32\); no length"),
        (turn("probe_positions", lambda a: a[1:]), r"probe_positions: expected \(63, 2\) .* found \(62, 2\)"),
        (turn("probe_positions", lambda a: a.astype("U9")), r"probe_positions: expected float64, found \(63, 2\) of"),
        (put("probe_positions", np.inf), r"probe_positions: expected finite values, found .* in \(63, 2\)"),
        (turn("probe", lambda a: a[:0]), r"probe: expected \(m, h, w\), found \(0, 32, 32\); no length 0"),
        (turn("mask", lambda a: ~a), r"mask: expected a pixel to be believed, found none in \(32, 32\)"),
        (turn("mask", lambda a: a * np.nan), r"mask: expected bool, found \(32, 32\) of float64"),
        (turn("object_truth", lambda a: a[None]), r"object_truth: expected 2 axes of complex64, found \(1, "),
        (turn("object_truth", lambda a: a[:0]), r"object_truth: expected \(H, W\), found \(0, 60\); no length 0"),
        (put("object_truth", np.nan), r"object_truth: expected finite values, found NaN or infinity in \("),
        (turn("truth_origin", lambda _: np.zeros(3)), r"truth_origin: expected \(2,\), found \(3,\)"),
        (put("truth_origin", np.nan), r"truth_origin: expected finite values, found NaN or infinity in \(2,\)"),
        (turn("kind", lambda _: np.array("photons")), r"kind: expected one of counts, .*, found 'photons'"),
        (
            turn("format", lambda _: np.array("ptycho-scan/9")),
            r"format: expected 'ptycho-\w+/1', found 'ptycho-scan/9'",
        ),
        (lambda arrays: arrays | {"pixel_size_m": np.ones(2)}, r"pixel_size_m: expected one number \(\), found \(2,\)"),
        (lambda arrays: arrays | {"pixel_size_m": np.array("x")}, r"pixel_size_m: expected one number \(\), found"),
        (lambda arrays: arrays | {"pixel_size_m": np.array(-1e-8)}, r"pixel_size_m: expected metres > 0, found -1e-08"),
        (lambda arrays: arrays | {"pixel_size_m": np.array(np.nan)}, r"pixel_size_m: expected metres > 0, found nan"),
    ],
)
def test_a_wrong_scan_file_is_refused_with_key_and_shapes(
    small_scan: Scan, tmp_path: Path, change: Change, message: str
) -> None:
    path = tmp_path / "scan.npz"
    save_scan(path, small_scan)
    write(path, change(load_arrays(path)))
    assert_refused(path, (load_scan, open_any, RawData.from_file), message)
