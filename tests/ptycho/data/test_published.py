"""The reader of the published .npz layout."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ptycho.data import DataKind
from ptycho.data.catalog import open_scan
from ptycho.data.published import load_published
from ptycho.errors import DataError
from ptycho.physics import predict_intensity

FRAME = (6, 9)  # even and odd: the middle of a frame lies between pixels in y, on a pixel in x
CORNERS = np.array([[0, 0], [3, 1], [1, 7], [4, 5]])


def make_arrays() -> dict[str, NDArray[np.generic]]:
    """An asymmetric object seen by an asymmetric probe, as the published layout stores it."""
    rng = np.random.default_rng(8)
    obj = rng.uniform(0.5, 1, (11, 18)) * np.exp(1j * rng.uniform(-1, 1, (11, 18)))
    probe = 30 * (rng.standard_normal((1, *FRAME)) + 1j * rng.standard_normal((1, *FRAME)))
    waves = np.stack([probe[0] * obj[y : y + FRAME[0], x : x + FRAME[1]] for y, x in CORNERS])
    fields = np.fft.fftshift(np.fft.fft2(waves, norm="ortho"), axes=(1, 2))
    middle = CORNERS + (np.array(FRAME) - 1) / 2
    return {
        "diff3d": np.round(np.abs(fields) ** 2).astype(np.uint16),
        "xcoords": middle[:, 1],
        "ycoords": middle[:, 0],
        "probeGuess": probe,
        "objectGuess": obj,
        "scan_index": np.zeros(len(CORNERS), int),
    }


def save(path: Path, **changes: NDArray[np.generic]) -> Path:
    np.savez(path, **(make_arrays() | changes))
    return path


def test_positions_land_where_the_object_was_seen(tmp_path: Path) -> None:
    path = save(tmp_path / "pinn.npz")
    scan = load_published(path)
    assert scan.kind is DataKind.COUNTS
    np.testing.assert_allclose(scan.probe_positions, CORNERS + np.array(FRAME) // 2)
    obj = make_arrays()["objectGuess"].astype(complex)
    predicted = predict_intensity(obj, np.zeros(2), scan.probe.astype(complex), scan.probe_positions)
    np.testing.assert_allclose(predicted, scan.diffraction, atol=0.51, rtol=1e-5)


def test_one_mode_may_come_without_its_axis_and_bad_pixels_are_masked(tmp_path: Path) -> None:
    bad = np.zeros(FRAME, bool)
    bad[2, 3] = True
    path = save(tmp_path / "pinn.npz", probeGuess=make_arrays()["probeGuess"][0], bad_pixels=bad)
    scan = open_scan(str(path))
    assert scan.probe.shape == (1, *FRAME)
    np.testing.assert_array_equal(scan.mask, ~bad)


def test_fractions_need_a_declared_kind(tmp_path: Path) -> None:
    amplitude = np.sqrt(make_arrays()["diff3d"])
    path = save(tmp_path / "pinn.npz", diff3d=amplitude)
    with pytest.raises(DataError, match="declare what they are: --kind intensity, or --kind amplitude"):
        open_scan(str(path))
    with pytest.raises(DataError, match="expected whole numbers for --kind counts"):
        open_scan(str(path), DataKind.COUNTS)
    scan = open_scan(str(path), DataKind.AMPLITUDE)
    np.testing.assert_allclose(scan.diffraction, amplitude**2, rtol=1e-6)
    assert scan.photons_per_frame is None


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("diff3d", lambda a: a[0], r"diff3d: expected \(n, h, w\), found \(6, 9\)"),
        ("diff3d", lambda a: a.transpose(1, 2, 0), r"diff3d: expected \(4, 6, 9\) .* found \(6, 9, 4\)"),
        ("diff3d", lambda a: a[1:], r"xcoords: expected \(3,\) .* found \(4,\)"),
        ("diff3d", lambda a: a - 1e6, "diff3d: expected finite values >= 0"),
        ("diff3d", lambda a: np.where(a == a.max(), np.nan, a), "diff3d: expected finite values >= 0"),
        ("ycoords", lambda a: a[:2], r"ycoords: expected \(4,\) .* found \(2,\)"),
        ("ycoords", lambda a: a * np.nan, "ycoords: expected finite values"),
    ],
)
def test_a_wrong_array_is_named(tmp_path: Path, key: str, change: object, message: str) -> None:
    changed = change(make_arrays()[key].astype(float))  # type: ignore[operator]
    path = save(tmp_path / "pinn.npz", **{key: changed})
    with pytest.raises(DataError, match=rf"pinn\.npz: {message}"):
        load_published(path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pinn.npz"
    np.savez(path, diff3d=make_arrays()["diff3d"])
    with pytest.raises(DataError, match=r"expected key 'xcoords' \(n,\), found diff3d \(4, 6, 9\)"):
        load_published(path)
