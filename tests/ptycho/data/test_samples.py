"""Normalised amplitudes and ground-truth patches of groups, computed row by row."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ptycho.data.groups import group_frames
from ptycho.data.normalisation import Normalisation, fit_normalisation
from ptycho.data.rows import Rows
from ptycho.data.samples import amplitude_rows, cut_patches, truth_rows
from ptycho.errors import DataError, ShapeError

FRAMES = np.random.default_rng(0).poisson(37.0, (23, 12, 9))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64, ">u2"])
def test_the_dtype_of_the_frames_does_not_change_the_normalisation(dtype: str) -> None:
    fitted = fit_normalisation(FRAMES.astype(dtype))
    reference = fit_normalisation(FRAMES)
    assert fitted.scale == pytest.approx(reference.scale, rel=1e-12)
    groups = group_frames(np.random.default_rng(1).uniform(0, 9, (23, 2)), 4)
    mask = np.ones((12, 9), bool)
    found, expected = (
        np.asarray(amplitude_rows(frames, mask, groups, fitted)) for frames in (FRAMES.astype(dtype), FRAMES)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_bright_integers_do_not_overflow() -> None:
    bright = np.full((3, 12, 9), 65_000, np.uint16)
    assert fit_normalisation(bright, amplitude=True).mean_intensity == pytest.approx(65_000**2 * 108)


def test_normalised_frames_have_the_energy_that_was_agreed() -> None:
    mask = np.random.default_rng(2).random((12, 9)) < 0.8
    fitted = fit_normalisation(FRAMES, mask)
    groups = group_frames(np.arange(46.0).reshape(23, 2), 1)
    amplitudes = np.asarray(amplitude_rows(FRAMES, mask, groups, fitted))
    assert amplitudes.dtype == np.float32
    assert np.square(amplitudes, dtype=np.float64).sum() / 23 == pytest.approx(12 * 9 / 4, rel=1e-6)
    assert not amplitudes[:, ~mask].any()
    np.testing.assert_allclose(amplitudes[:, mask, 0] * fitted.intensity_scale, np.sqrt(FRAMES[:, mask]), rtol=1e-6)


def test_other_frames_are_compared_by_their_flux() -> None:
    assert fit_normalisation(FRAMES).flux_ratio(3 * FRAMES) == pytest.approx(3)


def test_frames_without_light_cannot_be_normalised() -> None:
    with pytest.raises(DataError, match="expected frames with light in them, found a mean of 0"):
        fit_normalisation(np.zeros((2, 4, 4)))
    with pytest.raises(ShapeError, match=r"mask: expected \(12, 9\) for frames \(23, 12, 9\), found \(9, 12\)"):
        fit_normalisation(FRAMES, np.ones((9, 12), bool))


def test_frames_of_another_shape_than_the_normalisation_are_refused() -> None:
    groups = group_frames(np.zeros((23, 2)), 1)
    with pytest.raises(ShapeError, match=r"expected \(23, 12, 10\) .* found \(23, 12, 9\)"):
        amplitude_rows(FRAMES, np.ones((12, 10), bool), groups, Normalisation(1.0, (12, 10)))


@pytest.mark.parametrize(
    "key",
    [
        3,
        -1,
        slice(2, 9, 3),
        [4, 4, 1],
        np.array([True] * 5 + [False] * 35),
        (slice(1, 3), 2),
        (5, slice(None), 0),
        (slice(None), ..., 1),
        ...,
        (..., 2),
        np.int64(7),
        slice(0, 0),
        ([4, 1], [2, 0]),
        ([4, 1, 4], slice(None), [2, 0, 3]),
        (slice(1, 4), [0, 1, 2], [3, 0, 1]),
        np.array([[3, 1], [0, 3]]),
        (np.array([[3, 1], [0, 3]]), 2),
    ],
    ids=str,
)
def test_rows_answer_as_the_array_would(key: object) -> None:
    whole = np.random.default_rng(3).standard_normal((60, 3, 4))
    index = np.random.default_rng(4).integers(0, 60, 40)
    rows = Rows(index, lambda wanted: whole[wanted], (3, 4), whole.dtype)
    np.testing.assert_array_equal(rows[key], whole[index][key])
    assert type(rows[key]) is type(whole[index][key])
    assert (rows.shape, rows.ndim, len(rows)) == ((40, 3, 4), 3, 40)


def test_selecting_rows_computes_nothing() -> None:
    def refuse(_: NDArray[np.int64]) -> NDArray[np.float64]:
        raise AssertionError

    rows = Rows(np.arange(40), refuse, (2,), np.dtype(float)).select(slice(5, 9)).select([0, 3])
    np.testing.assert_array_equal(rows.index, [5, 8])
    with pytest.raises(ShapeError, match="expected a slice"):
        rows.select(1)


@pytest.mark.parametrize("frame_shape", [(8, 8), (7, 10), (12, 5)], ids=str)
@pytest.mark.parametrize("gridsize", [1, 2, 3])
def test_truth_patches_are_not_mirrored_swapped_or_displaced(gridsize: int, frame_shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(gridsize)
    origin = np.array([-4.0, 9.0])
    obj_shape = (60, 85)
    y, x = np.indices(obj_shape) + origin[:, None, None]
    positions = origin + frame_shape + rng.uniform(0, 1, (30, 2)) * (25, 60)
    groups = group_frames(positions, gridsize**2, neighbours=max(gridsize**2 - 1, 7), seed=2)
    patches = np.asarray(truth_rows(y + 1j * x, origin, groups, frame_shape))
    h, w = frame_shape
    assert patches.shape == (30, h, w, gridsize**2)
    seen = positions[groups.members]
    np.testing.assert_allclose(patches[:, h // 2, w // 2], seen[..., 0] + 1j * seen[..., 1], atol=1e-4)
    np.testing.assert_allclose(patches[:, -1, 0].real, seen[..., 0] + h - 1 - h // 2, atol=1e-4)
    np.testing.assert_allclose(patches[:, -1, 0].imag, seen[..., 1] - w // 2, atol=1e-4)


def test_a_patch_may_end_on_the_objects_last_pixel_and_no_further() -> None:
    obj = np.random.default_rng(5).standard_normal((8, 9)) + 0j
    last = np.array([[8 - 6 + 3, 9 - 5 + 2]], float)
    np.testing.assert_array_equal(cut_patches(obj, np.zeros(2), last, (6, 5))[0], obj[2:, 4:])
    whole = cut_patches(obj, np.zeros(2), np.array([[4.0, 4.0]]), (8, 9))
    np.testing.assert_array_equal(whole[0], obj)
    with pytest.raises(
        ShapeError, match=r"patch 0: expected its corner between \(0, 0\) and \(2, 4\), found \(2\.0999"
    ):
        cut_patches(obj, np.zeros(2), last + np.array([0.1, 0]), (6, 5))
