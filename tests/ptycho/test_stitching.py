"""Stitching: patches of many groups land where they were, whatever the slabs and the backend."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ptycho.errors import ConfigError, ShapeError
from ptycho.physics import Canvas, make_canvas
from ptycho.physics.groups import accumulate_canvas, sample_groups
from ptycho.stitching import Stitcher, make_weights, stitch_groups

BACKENDS = ["numpy", "torch", "tensorflow"]


def skewed_scan(step: float = 2.7, seed: int = 0) -> NDArray[np.float64]:
    """Positions (B, 4, 2) of groups of a sheared raster, wider than high, between pixels, far from the origin."""
    rng = np.random.default_rng(seed)
    i, j = np.meshgrid(np.arange(9), np.arange(14), indexing="ij")
    anchors = np.stack([step * i + 0.6 * j - 31.3, 1.3 * step * j + 0.4 * i + 512.6], -1).reshape(-1, 1, 2)
    return anchors + rng.uniform(-2, 2, (anchors.shape[0], 4, 2))


def smooth_object(
    positions: NDArray[np.float64], frame_shape: tuple[int, int]
) -> tuple[NDArray[np.complex128], Canvas]:
    """An object with amplitude and phase of their own on a canvas larger than the scan needs."""
    canvas = make_canvas(positions.reshape(-1, 2), frame_shape, margin=6)
    y, x = np.indices(canvas.shape) + canvas.origin[:, None, None]
    amplitude = 0.7 + 0.2 * np.sin(0.31 * y + 0.05 * x) + 0.1 * np.cos(0.17 * x)
    return amplitude * np.exp(0.8j * np.sin(0.23 * x - 0.11 * y)), canvas


def oracle_patches(
    obj: NDArray[np.complex128], canvas: Canvas, positions: NDArray[np.float64], frame_shape: tuple[int, int]
) -> NDArray[np.complex128]:
    """What a perfect network would return: the object seen bilinearly at every position, (B, h, w, C)."""
    offsets = (positions - canvas.origin - np.array(canvas.shape) // 2).reshape(1, -1, 2)
    patches = sample_groups(obj[None, ..., None], offsets, frame_shape)
    return np.moveaxis(patches.reshape(*frame_shape, *positions.shape[:2]), 2, 0)


def correlation(one: NDArray[np.complex128], other: NDArray[np.complex128]) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float(abs(np.vdot(one, other)) / (np.linalg.norm(one) * np.linalg.norm(other)))


@pytest.mark.parametrize(
    ("frame_shape", "weighting", "backend"),
    [
        ((24, 19), "full", "numpy"),
        ((17, 24), "centre", "numpy"),
        ((18, 24), "probe", "numpy"),
        ((17, 24), "full", "torch"),
        ((24, 19), "probe", "tensorflow"),
    ],
)
def test_oracle_patches_become_the_object_in_its_own_frame(
    frame_shape: tuple[int, int], weighting: str, backend: str
) -> None:
    rng = np.random.default_rng(1)
    probe = rng.standard_normal((3, *frame_shape)) + 1j * rng.standard_normal((3, *frame_shape))
    for positions, limit, blur in ((np.round(skewed_scan()), 0.999, 1e-9), (skewed_scan(), 0.99, 1)):
        obj, larger = smooth_object(positions, frame_shape)
        change = np.abs(np.diff(obj, axis=0)).max() + np.abs(np.diff(obj, axis=1)).max()  # over a pixel
        patches = oracle_patches(obj, larger, positions, frame_shape)
        weights = make_weights(weighting, frame_shape, probe)
        stitched = stitch_groups(patches, positions, weights, slab=7, backend=backend)
        y, x = (stitched.canvas.origin - larger.origin).astype(int)
        height, width = stitched.object.shape
        truth = obj[y : y + height, x : x + width]  # by the origin alone: nothing is registered
        inside = stitched.support
        assert inside.mean() > 0.3
        assert correlation(stitched.object[inside], truth[inside]) >= limit
        assert np.abs(stitched.object - truth)[inside].max() <= blur * change  # at the border too: no ring
        assert np.abs(stitched.object - truth)[inside].mean() <= 0.15 * blur * change
        assert correlation(stitched.object[inside], truth[::-1, ::-1][inside]) < 0.9
        assert (stitched.object[~inside] == 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_slabs_do_not_change_the_result(backend: str, tmp_path: Path) -> None:
    frame_shape, positions = (12, 15), skewed_scan()
    rng = np.random.default_rng(2)
    path = tmp_path / "patches.npy"
    patches = np.lib.format.open_memmap(path, "w+", np.complex64, (len(positions), *frame_shape, 4))
    patches[:] = rng.standard_normal(patches.shape) + 1j * rng.standard_normal(patches.shape)
    weights = rng.uniform(0.1, 1, frame_shape)
    canvas = make_canvas(positions.reshape(-1, 2), frame_shape)
    sums = accumulate_canvas(np.asarray(patches), positions, weights, canvas.origin, canvas.shape)
    expected = np.divide(sums[0], sums[1], out=np.zeros_like(sums[0]), where=sums[1] > 0)
    for slab in (1, 7, 64, len(positions)):
        if slab == 1 and backend != "numpy":
            continue
        stitched = stitch_groups(patches, positions, weights, slab=slab, backend=backend)
        assert stitched.object.dtype == np.complex64
        assert stitched.object.shape == canvas.shape
        well = sums[1] > 1e-3
        assert np.abs(stitched.object - expected)[well].max() <= 1e-5 * np.abs(expected[well]).max()
        np.testing.assert_array_equal(stitched.canvas.origin, canvas.origin)


def test_real_patches_stay_real() -> None:
    positions = skewed_scan()
    stitched = stitch_groups(np.full((len(positions), 12, 15, 4), 0.25, np.float32), positions, np.ones((12, 15)))
    assert stitched.object.dtype == np.float32
    np.testing.assert_allclose(stitched.object[stitched.support], 0.25, rtol=1e-5)


def test_an_offset_outside_the_canvas_is_refused() -> None:
    positions = skewed_scan()
    canvas = make_canvas(positions.reshape(-1, 2), (12, 15))
    positions[3, 1] += 200.0
    with pytest.raises(ShapeError, match="patch 13: expected its corner"):
        stitch_groups(np.ones((len(positions), 12, 15, 4)), positions, np.ones((12, 15)), canvas=canvas)


def test_a_canvas_without_room_to_spare_is_enough() -> None:
    positions = np.array([[[0.0, 0.0], [3.0, 5.0]]])
    stitched = stitch_groups(
        np.ones((1, 6, 7, 2)), positions, np.ones((6, 7)), canvas=Canvas((9, 12), np.array([-3.0, -3.0]))
    )
    assert stitched.support[0, 0]
    assert stitched.support[-1, -1]


def test_stitching_nothing_is_refused() -> None:
    with pytest.raises(ShapeError, match="at least one group"):
        Stitcher(Canvas((9, 12), np.zeros(2)), np.ones((6, 7))).result()


@pytest.mark.parametrize("weights", [np.zeros((6, 7)), -np.ones((6, 7)), np.full((6, 7), np.nan), np.ones(6)], ids=str)
def test_weights_that_weigh_nothing_are_refused(weights: NDArray[np.float64]) -> None:
    with pytest.raises(ShapeError, match="weights: expected"):
        Stitcher(Canvas((9, 12), np.zeros(2)), weights)


def test_impossible_slabs_and_positions_are_named() -> None:
    patches, positions, weights = np.ones((2, 6, 7, 1)), np.zeros((2, 1, 2)), np.ones((6, 7))
    for slab in (0, -1, 1.5):
        with pytest.raises(ConfigError, match=f"slab: expected a whole number >= 1, found {slab}"):
            stitch_groups(patches, positions, weights, slab=slab)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"positions: expected finite values, found NaN or infinity in \(2, 2\)"):
        stitch_groups(patches, positions * np.nan, weights)
    with pytest.raises(ShapeError, match=r"positions: expected \(n, 2\), n > 0, found \(0, 2\)"):
        stitch_groups(patches[:0], positions[:0], weights)


def test_weights_are_the_probes_power_or_flat_or_the_middle() -> None:
    probe = np.array([[[1, 2j], [0, 1]], [[1, 0], [3, 0]]], complex)
    np.testing.assert_array_equal(make_weights("probe", (2, 2), probe), [[2, 4], [9, 1]])
    np.testing.assert_array_equal(make_weights("centre", (4, 8)).sum(axis=1), [0, 4, 4, 0])
    assert make_weights("full", (4, 8)).all()
    with pytest.raises(ConfigError, match="weights: expected one of probe, full, centre, found 'middle'"):
        make_weights("middle", (4, 8))
    with pytest.raises(ShapeError, match=r"probe: expected modes \(m, 4, 8\)"):
        make_weights("probe", (4, 8), probe)
