"""The gauge: what is free is fixed, and predictions stay as they are but for the probe's tails."""

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.errors import ShapeError
from ptycho.metrics.frc import ring_correlation
from ptycho.metrics.gauge import Gauged, fix_gauge, illumination
from ptycho.metrics.registration import align, plane
from ptycho.physics import make_canvas, predict_intensity

Complex = NDArray[np.complex128]


@pytest.fixture(scope="module")
def result() -> tuple[Complex, Complex, NDArray[np.float64], NDArray[np.float64]]:
    """Object, two modes with dark rims, origin and positions; h != w."""
    rng = np.random.default_rng(0)
    h, w = 40, 48
    y, x = np.indices((h, w)) - np.array((h // 2, w // 2))[:, None, None]
    envelope = np.exp(-((y - 2.3) ** 2 + (x + 1.6) ** 2) / (2 * 3.2**2))
    probe = np.stack([9 * envelope * np.exp(0.02j * (y**2 + x**2)), 3 * envelope * (y + 1j * x) / 5])
    positions = rng.uniform(0, 40, (60, 2))
    canvas = make_canvas(positions, (h, w))
    smooth = [scipy.ndimage.gaussian_filter(rng.standard_normal(canvas.shape), 2) for _ in range(2)]
    return (0.8 + 0.8 * smooth[0]) * np.exp(2j * smooth[1]), probe, canvas.origin, positions


def test_the_gauge_is_what_it_says(result: tuple[Complex, Complex, NDArray[np.float64], NDArray[np.float64]]) -> None:
    gauged = fix_gauge(*result)
    covered = gauged.image.object[gauged.image.region]
    assert np.median(np.abs(covered)) == pytest.approx(1, abs=1e-9)
    assert np.angle(covered.sum()) == pytest.approx(0, abs=1e-9)
    power = np.square(np.abs(gauged.probe)).sum(axis=0)
    np.testing.assert_allclose(scipy.ndimage.center_of_mass(power), (20, 24), atol=1e-4)
    first, second = gauged.probe.reshape(2, -1)
    assert np.linalg.norm(first) > np.linalg.norm(second)
    assert abs(np.vdot(first, second)) < 1e-6 * np.linalg.norm(first) * np.linalg.norm(second)


def test_the_gauge_changes_no_intensity(
    result: tuple[Complex, Complex, NDArray[np.float64], NDArray[np.float64]],
) -> None:
    object_, probe, origin, positions = result
    ramp = np.array([0.2, -0.1])
    turned = object_ * plane(object_.shape, ramp, 1.0)
    counter = probe * plane(probe.shape[1:], -ramp, 0.0)
    gauged = fix_gauge(3 * turned, counter / 3, origin, positions)
    expected = predict_intensity(object_, origin, probe, positions)
    found = predict_intensity(gauged.image.object, gauged.image.origin, gauged.probe, positions)
    assert np.abs(found - expected).max() < 1e-3 * expected.max()
    assert np.square(found - expected).sum() < 1e-6 * np.square(expected).sum()


def test_power_times_transmission_is_the_counts_of_a_frame(
    result: tuple[Complex, Complex, NDArray[np.float64], NDArray[np.float64]],
) -> None:
    object_, probe, origin, positions = result
    gauged = fix_gauge(object_, probe, origin, positions)
    counts = predict_intensity(object_, origin, probe, positions).sum() / len(positions)
    assert gauged.probe_power * gauged.mean_transmission == pytest.approx(counts, rel=0.01)


@pytest.mark.parametrize("mixing", [0.0, 0.6])
def test_one_result_in_many_gauges_is_one_result(
    result: tuple[Complex, Complex, NDArray[np.float64], NDArray[np.float64]], mixing: float
) -> None:
    object_, probe, origin, positions = result
    ramp = np.array([-0.15, 0.31])
    mixed = np.stack(
        [
            np.cos(mixing) * probe[0] + np.sin(mixing) * probe[1],
            np.cos(mixing) * probe[1] - np.sin(mixing) * probe[0],
        ]
    )
    other = fix_gauge(
        7 * object_ * plane(object_.shape, ramp, -2.0),
        mixed[::-1] * plane(probe.shape[1:], -ramp, 0.4) / 7,
        origin + 5,
        positions + 5,
    )
    plain = fix_gauge(object_, probe, origin, positions)
    np.testing.assert_allclose(other.image.origin, plain.image.origin + 5, atol=1e-6)
    covered = plain.image.region
    np.testing.assert_allclose(other.image.object[covered], plain.image.object[covered], atol=1e-6)
    np.testing.assert_allclose(other.probe, plain.probe, atol=1e-4)


@pytest.mark.parametrize("ramp", [(0.01, -0.02), (0.05, 0.05), (-0.2, 0.1), (0.3, 0.2)])
def test_results_that_differ_by_a_ramp_have_one_ring_correlation(
    result: tuple[Complex, Complex, NDArray[np.float64], NDArray[np.float64]], ramp: tuple[float, float]
) -> None:
    object_, probe, origin, positions = result
    rng = np.random.default_rng(1)
    bright = probe + 0.3 * (rng.standard_normal(probe.shape) + 1j * rng.standard_normal(probe.shape))  # tails wrap
    other = object_ + 0.2 * (rng.standard_normal(object_.shape) + 1j * rng.standard_normal(object_.shape))
    reference = fix_gauge(object_, bright, origin, positions).image
    slope = np.array(ramp)
    turned = other * plane(other.shape, slope, 0.4)
    counter = bright * plane(probe.shape[1:], -slope, 0.0)
    curves = []
    for moving in (fix_gauge(other, bright, origin, positions), fix_gauge(turned, counter, origin, positions)):
        aligned = align(reference, moving.image)
        curves.append(ring_correlation(aligned.reference, aligned.moving, aligned.window).correlation)
    np.testing.assert_allclose(curves[0], curves[1], atol=1e-6)


def test_illumination_adds_the_probes_power_at_each_position() -> None:
    probe = np.random.default_rng(0).standard_normal((2, 6, 8)) + 0j
    positions = np.array([(10.0, 12.0), (11.2, 12.9), (400.0, 0.0)])
    found = illumination(probe, positions, np.array([0.0, 0.0]), (30, 40))
    expected = np.zeros((30, 40))
    for y, x in ((7, 8), (8, 9)):
        expected[y : y + 6, x : x + 8] += np.square(np.abs(probe)).sum(axis=0)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("which", [0, 1])
def test_a_result_of_zeros_or_nan_is_refused(
    result: tuple[Complex, Complex, NDArray[np.float64], NDArray[np.float64]], which: int
) -> None:
    parts = list(result)
    parts[which] = np.zeros_like(parts[which])
    with pytest.raises(ShapeError, match="found only zeros"):
        fix_gauge(*parts)
    parts[which] = np.full_like(parts[which], np.nan)
    with pytest.raises(ShapeError, match="gauge: expected finite values, found NaN"):
        fix_gauge(*parts)


def test_the_gauged_record_knows_its_power() -> None:
    gauged = fix_gauge(np.ones((30, 30)), np.full((1, 8, 8), 2 + 0j), np.zeros(2), np.array([(15.0, 15.0)]))
    assert isinstance(gauged, Gauged)
    assert gauged.probe_power == pytest.approx(256)
    assert gauged.mean_transmission == pytest.approx(1)
