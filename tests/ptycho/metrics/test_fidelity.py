"""Residuals and their Poisson expectations."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ptycho.errors import ShapeError
from ptycho.metrics.fidelity import (
    FrameScores,
    bootstrap_error,
    fit_frame_factors,
    fourier_error,
    score_frames,
)
from ptycho.physics.statistics import expected_amplitude_error, expected_deviance

LAMBDAS = np.array([0.003, 0.03, 0.3, 1.1, 3.0, 20.0, 63.9, 64.1, 400.0])


def make_frames(seed: int, dose: float = 3.0) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Counts, their means over four decades, and a mask."""
    rng = np.random.default_rng(seed)
    model = dose * rng.exponential(size=(30, 24, 20)) * 10.0 ** rng.integers(-2, 2, (30, 24, 20))
    mask = rng.random((24, 20)) > 0.1
    return rng.poisson(model).astype(float), model, mask


@pytest.mark.parametrize("lam", LAMBDAS)
def test_expectations_are_those_of_drawn_counts(lam: float) -> None:
    draws = 400_000
    k = np.random.default_rng(int(1000 * lam)).poisson(lam, draws)
    error = np.square(np.sqrt(k) - np.sqrt(lam))
    deviance = 2 * (lam - k + np.where(k > 0, k * np.log(np.maximum(k, 1) / lam), 0))
    for sample, expected in ((error, expected_amplitude_error), (deviance, expected_deviance)):
        assert expected(np.array([lam]))[0] == pytest.approx(sample.mean(), abs=5 * sample.std() / np.sqrt(draws))


def test_expectations_are_smooth_where_table_and_series_meet() -> None:
    around = np.array([64 - 1e-9, 64 + 1e-9])
    for expected in (expected_amplitude_error, expected_deviance):
        assert np.ptp(expected(around)) < 1e-5


def test_the_floor_at_low_counts_is_not_a_quarter() -> None:
    assert expected_amplitude_error(np.array([1e-4]))[0] == pytest.approx(2e-4, rel=0.02)
    assert expected_amplitude_error(np.array([1e6]))[0] == pytest.approx(0.25, rel=1e-4)


def test_at_the_truth_error_and_deviance_are_what_poisson_leaves() -> None:
    ratios = []
    for seed in range(20):
        scores = score_frames(*make_frames(seed))
        ratios.append((scores.error_over_expected, scores.deviance_over_expected))
    mean, error = np.mean(ratios, axis=0), np.std(ratios, axis=0, ddof=1) / np.sqrt(20)
    assert (np.abs(mean - 1) < 5 * error).all()
    assert (error < 0.003).all()


def test_a_wrong_model_lies_far_beyond_the_expectation() -> None:
    counts, model, mask = make_frames(0)
    scores = score_frames(counts, 1.5 * model, mask)
    assert scores.error_over_expected > 1.2
    assert scores.deviance_over_expected > 1.2


def test_a_model_equal_to_the_counts_is_below_the_expectation_and_least_in_nll() -> None:
    counts, _, mask = make_frames(0)
    fitted = score_frames(counts, counts, mask)
    assert fitted.error_over_expected < 1e-3
    nll = [score_frames(counts, factor * counts, mask).nll_per_pixel for factor in (0.999, 1.0, 1.001)]
    assert nll[1] < min(nll[0], nll[2])


def test_r_follows_its_definition_on_valid_pixels_only() -> None:
    counts, model, mask = make_frames(1)
    expected = np.square(np.sqrt(counts[:, mask]) - np.sqrt(model[:, mask] + 1e-6)).sum() / counts[:, mask].sum()
    spoilt = np.where(mask, counts, 1e9)
    assert score_frames(spoilt, model, mask).fourier_error == pytest.approx(expected, rel=1e-9)
    assert fourier_error(spoilt, model + 1e-6, mask) == pytest.approx(expected, rel=1e-9)


def test_frame_factors_undo_a_change_of_flux_and_nothing_else() -> None:
    counts, model, mask = make_frames(2, dose=100)
    flux = np.linspace(0.5, 2, len(model))
    factors = fit_frame_factors(counts, model / flux[:, None, None], mask)
    np.testing.assert_allclose(factors, flux, rtol=0.03)
    np.testing.assert_array_equal(fit_frame_factors(counts, np.zeros_like(model), mask), 1)


def test_the_bootstrap_error_is_the_scatter_of_repeated_experiments() -> None:
    def draw(seed: int) -> FrameScores:
        return score_frames(*make_frames(seed, dose=1.0))

    scatter = np.std([draw(seed).error_over_expected for seed in range(60)], ddof=1)
    errors = [bootstrap_error(lambda drawn: drawn.error_over_expected, draw(seed), seed=0) for seed in range(10)]
    assert np.mean(errors) == pytest.approx(scatter, rel=0.35)


def test_one_seed_gives_one_bootstrap_error_and_leaves_the_global_state_alone() -> None:
    scores = score_frames(*make_frames(3))
    before = np.random.get_state()[1].copy()  # noqa: NPY002 -- the global state is what is looked at
    first, second, other = (bootstrap_error(lambda s: s.fourier_error, scores, seed=seed) for seed in (1, 1, 2))
    assert first == second != other
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002 -- as above


@pytest.mark.parametrize(
    ("counts", "model", "mask"),
    [((3, 4, 5), (3, 5, 4), (4, 5)), ((3, 4, 5), (3, 4, 5), (5, 4)), ((4, 5), (4, 5), (4, 5))],
)
def test_frames_that_do_not_fit_are_refused(
    counts: tuple[int, ...], model: tuple[int, ...], mask: tuple[int, ...]
) -> None:
    with pytest.raises(ShapeError, match="expected counts and model"):
        score_frames(np.ones(counts), np.ones(model), np.ones(mask, bool))


def test_a_mask_without_a_valid_pixel_is_refused() -> None:
    with pytest.raises(ShapeError, match="with 0 valid"):
        score_frames(np.ones((2, 4, 5)), np.ones((2, 4, 5)), np.zeros((4, 5), bool))
