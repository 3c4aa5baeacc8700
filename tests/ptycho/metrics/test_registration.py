"""Sub-pixel registration and planes of phase."""

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.errors import ShapeError
from ptycho.metrics.registration import Placed, align, find_plane, find_shift, overlay, plane, soft_window
from ptycho.physics.shift import shift_probe

Complex = NDArray[np.complex128]


def make_object(shape: tuple[int, int] = (150, 131), seed: int = 0, blur: float = 1.5) -> Complex:
    """A transmission object with independent structure in amplitude and phase."""
    rng = np.random.default_rng(seed)
    amplitude, phase = (scipy.ndimage.gaussian_filter(rng.standard_normal(shape), blur, mode="wrap") for _ in range(2))
    return (1 + 0.5 * amplitude) * np.exp(2j * phase)


def place(values: Complex, origin: tuple[float, float] = (0.0, 0.0), rim: int = 12) -> Placed:
    """An object known but for a rim."""
    region = np.zeros(values.shape, bool)
    region[rim:-rim, rim:-rim] = True
    return Placed(values, np.array(origin), region)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.7), (2.49, 1.5), (-5.25, 6.75)])
def test_a_known_shift_is_found_to_a_fiftieth_of_a_pixel(shift: tuple[float, float]) -> None:
    truth = make_object()
    moved = shift_probe(truth, np.array([shift]))[0]
    found = align(place(truth), place(moved)).shift
    np.testing.assert_allclose(found, shift, atol=0.02)


def test_a_known_shift_is_found_in_noise() -> None:
    rng = np.random.default_rng(5)
    truth = make_object()
    moved = shift_probe(truth, np.array([(1.3, -2.6)]))[0]
    noise = 0.03 * (rng.standard_normal((2, *truth.shape)) + 1j * rng.standard_normal((2, *truth.shape)))
    found = align(place(truth + noise[0]), place(moved + noise[1])).shift
    np.testing.assert_allclose(found, (1.3, -2.6), atol=0.02)


def test_origins_give_the_shift_without_search() -> None:
    canvas = make_object((190, 180))
    first = place(canvas[10:140, 20:150], (10.0, 20.0))
    second = place(canvas[25:165, 5:125], (25.0, 5.0))
    aligned = align(first, second)
    np.testing.assert_allclose(aligned.shift, 0, atol=1e-3)
    inside = aligned.window > 0.9
    np.testing.assert_allclose(aligned.moving[inside], aligned.reference[inside], atol=5e-3)


def test_an_overlay_goes_by_the_origins_alone() -> None:
    canvas = make_object((190, 180))
    first, second = place(canvas[10:140, 20:150], (10.0, 20.0)), place(canvas[25:165, 5:125], (25.02, 5.0))
    laid = overlay(first, second)
    np.testing.assert_array_equal(laid.moving, laid.reference)
    np.testing.assert_array_equal(laid.reference, canvas[37:128, 32:113])
    displaced = overlay(first, place(second.object, (26.0, 5.0)))
    assert np.abs(displaced.moving - displaced.reference).mean() > 0.1
    with pytest.raises(ShapeError, match="origins that differ by whole pixels"):
        overlay(first, place(second.object, (25.5, 5.0)))
    with pytest.raises(ShapeError, match="expected overlapping regions"):
        overlay(first, place(second.object, (225.0, 5.0)))


def test_a_relative_ramp_and_phase_are_taken_away() -> None:
    truth = make_object()
    turned = truth * plane(truth.shape, np.array([0.13, -0.07]), 2.1)
    aligned = align(place(truth), place(turned))
    np.testing.assert_allclose(aligned.moving, aligned.reference, atol=1e-6)


def test_the_search_for_a_shift_is_bounded() -> None:
    moved = np.roll(make_object(), (30, 25), axis=(0, 1))
    assert np.abs(align(place(make_object()), place(moved), max_shift=4.0).shift).max() < 5.0


@pytest.mark.parametrize("slope", [(0.0, 0.0), (1e-3, 0.4), (-2.0, 3.0)])
@pytest.mark.parametrize("shape", [(64, 64), (127, 60)])
def test_a_plane_of_phase_is_found_without_unwrapping(slope: tuple[float, float], shape: tuple[int, int]) -> None:
    weight = 1 + np.random.default_rng(1).random(shape)
    found, phase = find_plane(weight * plane(shape, np.array(slope), 0.7))
    np.testing.assert_allclose(found, slope, atol=1e-9)
    assert phase == pytest.approx(0.7, abs=1e-9)


def test_the_sign_of_a_shift_is_that_of_the_movement() -> None:
    spot = np.zeros((64, 48), complex)
    spot[30, 20] = 1
    smooth = scipy.ndimage.gaussian_filter(spot, 2)
    moved = np.roll(smooth, (3, -5), axis=(0, 1))
    np.testing.assert_allclose(find_shift(smooth, moved, np.array([10.0, 10.0])), (3, -5), atol=1e-6)


def test_the_window_is_zero_outside_and_one_deep_inside() -> None:
    region = np.ones((60, 50), bool)
    region[:, :10] = False
    window = soft_window(region, taper=8)
    assert not window[:, :10].any()
    assert window[30, 30] == 1
    assert window[0].max() < 0.1


def test_regions_that_do_not_overlap_are_refused() -> None:
    values = make_object((60, 60))
    with pytest.raises(ShapeError, match="expected overlapping regions"):
        align(place(values), place(values, (100.0, 0.0)))


def test_an_object_with_nan_is_refused() -> None:
    values = make_object((60, 60))
    values[3, 4] = np.nan
    with pytest.raises(ShapeError, match=r"placed object: expected finite values, .* \(60, 60\)"):
        place(values)
