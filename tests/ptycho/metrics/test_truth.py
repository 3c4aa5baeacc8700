"""Comparison with a known object."""

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.metrics.registration import Placed, plane
from ptycho.metrics.truth import compare_to_truth
from ptycho.physics.shift import shift_probe

SHAPE = (140, 120)


def place(values: NDArray[np.complex128], rim: int = 0, origin: tuple[float, float] = (0.0, 0.0)) -> Placed:
    """An object known but for a rim."""
    region = np.zeros(SHAPE, bool)
    region[rim : SHAPE[0] - rim, rim : SHAPE[1] - rim] = True
    return Placed(values, np.array(origin), region)


def make_truth(seed: int = 0) -> NDArray[np.complex128]:
    """Unrelated amplitude and phase; the phase wraps."""
    rng = np.random.default_rng(seed)
    amplitude, phase = (scipy.ndimage.gaussian_filter(rng.standard_normal(SHAPE), 2, mode="wrap") for _ in range(2))
    return (1 + amplitude) * np.exp(1j * (np.pi + 8 * phase))


def test_the_truth_in_another_gauge_is_the_truth() -> None:
    truth = make_truth()
    turned = 3 * shift_probe(truth, np.array([(0.4, -1.3)]))[0] * plane(SHAPE, np.array([0.02, -0.05]), 1.0)
    found = compare_to_truth(place(turned, rim=15), place(truth))
    assert found.complex_error < 5e-3
    assert min(found.amplitude_correlation, found.phase_correlation) > 0.9999
    np.testing.assert_allclose(found.aligned.shift, (0.4, -1.3), atol=0.02)


def test_the_complex_error_is_the_noise_over_the_signal() -> None:
    rng = np.random.default_rng(3)
    truth = make_truth()
    noise = 0.1 * (rng.standard_normal(SHAPE) + 1j * rng.standard_normal(SHAPE))
    expected = np.linalg.norm(noise) / np.linalg.norm(truth)
    assert compare_to_truth(place(truth + noise, rim=15), place(truth)).complex_error == pytest.approx(
        expected, rel=0.05
    )


def test_amplitude_and_phase_are_judged_apart() -> None:
    truth, other = make_truth(), make_truth(1)
    wrong_amplitude = compare_to_truth(place(np.abs(other) * np.exp(1j * np.angle(truth)), rim=15), place(truth))
    assert abs(wrong_amplitude.amplitude_correlation) < 0.15
    assert wrong_amplitude.phase_correlation > 0.99
    flat = compare_to_truth(place(np.exp(1j * np.angle(truth)), rim=15), place(truth))
    assert abs(flat.amplitude_correlation) < 0.15
    assert flat.phase_correlation > 0.99


def test_a_truth_compared_with_itself_scores_perfectly_in_any_constant_and_any_plane_of_phase() -> None:
    truth = make_truth()
    for scale, slope in ((1.0, (0.0, 0.0)), (0.02, (1.3, -2.4)), (40.0, (-0.001, 0.0004))):
        turned = scale * truth * plane(SHAPE, np.array(slope), 2.0)
        found = compare_to_truth(place(turned, rim=10), place(truth))
        np.testing.assert_allclose(found.curve.correlation, 1, atol=1e-9)
        assert found.complex_error < 1e-9
        for image in (found.amplitude, found.phase):
            assert image.mae < 1e-9
            assert image.ssim == pytest.approx(1, abs=1e-9)


def test_no_score_sees_a_constant_or_a_plane_of_phase() -> None:
    rng = np.random.default_rng(9)
    truth = make_truth()
    noisy = truth + 0.2 * (rng.standard_normal(SHAPE) + 1j * rng.standard_normal(SHAPE))
    expected = compare_to_truth(place(noisy, rim=10), place(truth))
    for scale, slope in ((1.0, (0.31, -0.17)), (0.02, (2.9, -3.0)), (40.0, (-0.001, 0.0004))):
        found = compare_to_truth(place(scale * noisy * plane(SHAPE, np.array(slope), -2.0), rim=10), place(truth))
        np.testing.assert_allclose(found.curve.correlation, expected.curve.correlation, atol=1e-6)
        for one, other in ((found, expected), (found.amplitude, expected.amplitude), (found.phase, expected.phase)):
            for name in ("complex_error", "amplitude_correlation", "phase_correlation", "mae", "mse", "psnr", "ssim"):
                if hasattr(one, name):
                    assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-6), name
    assert 0.1 < expected.phase.mae < 1  # the scores have something to lose
