"""Fourier ring correlation: identical images, independent noise, and what a score must not see."""

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.errors import ShapeError
from ptycho.metrics.frc import RingCorrelation, find_crossing, half_bit, ring_correlation
from ptycho.metrics.registration import Placed, align, plane, soft_window

SHAPE = (120, 101)
WINDOW = soft_window(np.ones(SHAPE, bool))


def noise(seed: int, shape: tuple[int, int] = SHAPE) -> NDArray[np.complex128]:
    """White complex noise."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def test_identical_images_correlate_to_one_on_every_ring() -> None:
    image = 1 + noise(0)
    curve = ring_correlation(image, image, WINDOW)
    np.testing.assert_allclose(curve.correlation, 1, atol=1e-12)
    crossing = find_crossing(curve, half_bit(curve.n_effective))
    assert crossing.at_least_nyquist
    assert crossing.frequency == 0.5


def test_an_image_and_its_negative_correlate_to_minus_one() -> None:
    curve = ring_correlation(noise(0), -noise(0), WINDOW)
    np.testing.assert_allclose(curve.correlation, -1, atol=1e-12)


def test_independent_noise_scatters_about_zero_no_more_than_its_effective_samples_say() -> None:
    scaled = []
    for seed in range(12):
        curve = ring_correlation(noise(2 * seed), noise(2 * seed + 1), WINDOW)
        assert abs(curve.mean) < 3 / np.sqrt(2 * curve.n_effective.sum())
        scaled.append(curve.correlation[3:] * np.sqrt(2 * curve.n_effective[3:]))
    # a little less than 1: a thin ring holds fewer of a sample's dependent neighbours than the plane does
    assert 0.8 < np.std(scaled) < 1.05
    assert np.mean(scaled) == pytest.approx(0, abs=5 / np.sqrt(np.size(scaled)))


def test_independent_noise_falls_below_half_a_bit_at_once() -> None:
    curve = ring_correlation(noise(0), noise(1), WINDOW)
    assert find_crossing(curve, half_bit(curve.n_effective)).frequency < 0.03


def test_a_common_mean_is_no_correlation() -> None:
    curve = ring_correlation(300 + noise(0), 300 + noise(1), WINDOW)
    assert np.abs(curve.correlation[:4]).max() < 0.9
    assert abs(curve.mean) < 3 / np.sqrt(2 * curve.n_effective.sum())


def test_the_curve_falls_where_the_common_signal_ends() -> None:
    signal = 12 * scipy.ndimage.gaussian_filter(noise(0), 1.5, mode="wrap")
    curve = ring_correlation(signal + 0.5 * noise(1), signal + 0.5 * noise(2), WINDOW)
    # signal-to-noise ratio of Gaussian-filtered noise against white noise, and where it makes FRC ½
    ratio = (12 / 0.5) ** 2 * np.exp(-((2 * np.pi * curve.frequency * 1.5) ** 2))
    expected = ratio / (1 + ratio)
    assert np.abs(curve.correlation[5:] - expected[5:]).mean() < 0.04
    exact = np.sqrt(np.log((12 / 0.5) ** 2)) / (2 * np.pi * 1.5)
    assert find_crossing(curve, 0.5).frequency == pytest.approx(exact, abs=0.02)


def test_scores_do_not_see_a_constant_or_a_plane_of_phase() -> None:
    base = (1 + 0.3 * scipy.ndimage.gaussian_filter(noise(0), 1)) * np.exp(0.2j * noise(3).real)
    other = base + 0.1 * noise(1)
    region = np.zeros(SHAPE, bool)
    region[8:-8, 6:-6] = True
    curves = []
    for factor in (1.0, 2.5 * np.exp(1.3j) * plane(SHAPE, np.array([0.21, -0.33]), 0.0)):
        aligned = align(Placed(base, np.zeros(2), region), Placed(other * factor, np.zeros(2), region))
        curves.append(ring_correlation(aligned.reference, aligned.moving, aligned.window).correlation)
    np.testing.assert_allclose(curves[0], curves[1], atol=1e-6)


def test_rings_count_the_fourier_pixels_and_a_hard_window_its_area() -> None:
    window = np.zeros((64, 64))
    window[:, :32] = 1
    curve = ring_correlation(noise(0, (64, 64)), noise(1, (64, 64)), window)
    assert curve.frequency[-1] == 0.5
    assert curve.n_effective[0] == pytest.approx(8 / 2)
    assert curve.frequency.size == 32


def test_half_a_bit_is_the_published_curve() -> None:
    np.testing.assert_allclose(half_bit(np.array([1.0, 100.0, 1e12])), [1.0, 0.30669, 0.17157], atol=1e-4)


def test_a_crossing_is_interpolated_between_rings() -> None:
    curve = RingCorrelation(np.array([0.1, 0.2, 0.3]), np.array([0.9, 0.6, 0.2]), np.full(3, 50.0))
    assert find_crossing(curve, 0.5).frequency == pytest.approx(0.225)
    assert find_crossing(curve, 0.95).frequency == 0
    assert find_crossing(curve, 0.1).at_least_nyquist


@pytest.mark.parametrize("ragged", [False, True])
def test_nearly_identical_images_agree_up_to_nyquist_however_small_their_region(ragged: bool) -> None:
    """An L, or a square, so small in its frame that the first rings hold less than one independent sample."""
    region = np.zeros((200, 180), bool)
    region[60:100, 50:90] = True
    if ragged:
        region[60:150, 50:72] = True
        region[60:82, 50:150] = True
        region[82:, 72:] = False
    window = soft_window(region)
    image = noise(0, region.shape)
    curve = ring_correlation(image, image + 0.01 * noise(2, region.shape), window)
    assert curve.n_effective[0] < 1
    assert find_crossing(curve, half_bit(curve.n_effective)).at_least_nyquist
    other = ring_correlation(image, noise(1, region.shape), window)
    assert find_crossing(other, half_bit(other.n_effective)).frequency < 0.1


def test_a_curve_without_a_decisive_ring_proves_nothing() -> None:
    curve = RingCorrelation(np.array([0.25, 0.5]), np.ones(2), np.array([0.4, 0.9]))
    assert find_crossing(curve, 0.5).frequency == 0


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="expected two objects"):
        ring_correlation(noise(0), noise(0, (101, 120)), WINDOW)
    with pytest.raises(ShapeError, match="not zero"):
        ring_correlation(noise(0), noise(0), 0 * WINDOW)
    with pytest.raises(ShapeError, match="found NaN or infinity"):
        ring_correlation(noise(0), np.nan * noise(0), WINDOW)
