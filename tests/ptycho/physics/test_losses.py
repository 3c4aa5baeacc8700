"""Losses against their statistics, in every backend."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ptycho.backends import load
from ptycho.errors import ShapeError

BACKENDS = ["numpy", "torch", "tensorflow"]
FRAMES = (40, 48, 37)


def draw_model(seed: int = 0) -> NDArray[np.float64]:
    """Mean counts over five decades, as a diffraction pattern has them."""
    return 10.0 ** np.random.default_rng(seed).uniform(-2, 3, FRAMES)


def loss(backend: str, name: str, *arrays: NDArray[Any], **options: Any) -> float:
    chosen = load(backend)
    return float(chosen.to_numpy(getattr(chosen.losses, name)(*map(chosen.asarray, arrays), **options)))


def nll_slope(counts: NDArray[np.float64], model: NDArray[np.float64]) -> float:
    """The NLL's derivative along λ itself, by central differences."""
    step = 1e-5
    up, down = (loss("numpy", "poisson_nll", counts, model * (1 + sign * step)) for sign in (1, -1))
    return (up - down) / (2 * step)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_the_gradient_of_the_poisson_loss_is_zero_at_the_truth(backend: str) -> None:
    model = 10.0 ** np.random.default_rng(1).uniform(0, 4, (5, 6, 7))
    gradient = model_gradient(backend, "poisson_nll", model, model)
    away = model_gradient(backend, "poisson_nll", model, 1.01 * model)
    assert np.abs(gradient).max() * gradient.size <= 1.1e-6  # (1 − λ/λ') of the floor 1e-6
    assert np.abs(away).min() * gradient.size > 1e-3


def model_gradient(
    backend: str, name: str, counts: NDArray[np.float64], model: NDArray[np.float64]
) -> NDArray[np.float64]:
    chosen = load(backend)
    function, k, lam = getattr(chosen.losses, name), chosen.asarray(counts), chosen.asarray(model)
    if backend == "torch":
        lam.requires_grad_()
        function(k, lam).backward()
        return chosen.to_numpy(lam.grad)
    import tensorflow as tf  # noqa: PLC0415 -- a framework is imported where it is used

    with tf.GradientTape() as tape:
        tape.watch(lam)
        value = function(k, lam)
    return chosen.to_numpy(tape.gradient(value, lam))


def test_with_counted_photons_the_poisson_loss_has_no_slope_on_average() -> None:
    model = draw_model()
    slopes = [nll_slope(np.random.default_rng(seed).poisson(model).astype(float), model) for seed in range(12)]
    error = np.sqrt(model.sum() / 12) / model.size  # d/dε Σ(λ(1+ε) − k ln λ(1+ε)) = Σ(λ − k)
    assert abs(np.mean(slopes)) < 5 * error
    counts = np.random.default_rng(0).poisson(1.02 * model).astype(float)
    assert abs(nll_slope(counts, model)) > 20 * error


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_deviance_is_one_at_the_truth_and_less_for_what_fits_the_noise(backend: str) -> None:
    model = draw_model()
    counts = np.random.default_rng(2).poisson(model).astype(float)
    error = np.sqrt(2 / model.size)  # its variance is at most about 2 a pixel, its expectation about 1
    assert abs(loss(backend, "deviance_ratio", counts, model) - 1) < 5 * error
    assert loss(backend, "deviance_ratio", counts, model + 0.3 * (counts - model)) < 1 - 20 * error
    assert loss(backend, "deviance_ratio", counts, 1.3 * model) > 1 + 20 * error


@pytest.mark.parametrize("backend", BACKENDS)
def test_losses_are_the_formulas(backend: str) -> None:
    k, lam = np.array([[0.0, 4.0, 9.0]]), np.array([[1.0, 1.0, 16.0]])
    floored = lam + 1e-6
    assert loss(backend, "poisson_nll", k, lam) == pytest.approx((floored - k * np.log(floored)).mean(), rel=1e-12)
    constant = loss(backend, "poisson_nll", k, lam, constant=True) - loss(backend, "poisson_nll", k, lam)
    assert constant == pytest.approx((np.log(24) + np.log(362880)) / 3)
    assert loss(backend, "amplitude_mae", k, lam) == pytest.approx(1.0)
    assert loss(backend, "amplitude_mse", k, 4 * lam) == pytest.approx((4 + 0 + 25) / 3)
    image = np.array([[0, 3j], [4, 0]], complex)
    assert loss(backend, "total_variation", image) == pytest.approx((4 + 3) / 2 + (3 + 4) / 2)
    assert loss(backend, "complex_mae", image, 1 + image) == pytest.approx(1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["poisson_nll", "amplitude_mae", "amplitude_mse", "deviance_ratio", "complex_mae"])
def test_what_stands_on_invalid_pixels_counts_nowhere(name: str, backend: str) -> None:
    rng = np.random.default_rng(3)
    model = rng.uniform(1, 9, (4, 6, 5))
    counts = rng.poisson(model).astype(float)
    mask = rng.random((6, 5)) > 0.3
    whole = loss(backend, name, counts[:, mask][..., None], model[:, mask][..., None])
    counts[:, ~mask], model[:, ~mask] = np.nan, -5.0
    assert loss(backend, name, counts, model, mask=mask) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
@pytest.mark.parametrize("name", ["poisson_nll", "amplitude_mae", "amplitude_mse"])
def test_gradients_stay_finite_where_no_photon_is_expected(name: str, backend: str) -> None:
    gradient = model_gradient(backend, name, np.array([[0.0, 2.0]]), np.zeros((1, 2)))
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_integer_counts_give_what_their_floats_give(backend: str) -> None:
    model = np.random.default_rng(4).uniform(1, 9, (2, 5, 4)).astype(np.float32)
    counts = np.random.default_rng(5).poisson(model).astype(np.uint16)
    for name in ("poisson_nll", "amplitude_mae", "amplitude_mse", "deviance_ratio"):
        expected = loss(backend, name, counts.astype(np.float64), model.astype(np.float64))
        assert loss(backend, name, counts, model) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_frames_that_do_not_fit_are_refused(backend: str) -> None:
    with pytest.raises(ShapeError, match=r"model: expected shape \(2, 5, 4\), found \(2, 4, 5\)"):
        loss(backend, "poisson_nll", np.ones((2, 5, 4)), np.ones((2, 4, 5)))
    with pytest.raises(ShapeError, match=r"mask: expected shape \(5, 4\)"):
        loss(backend, "amplitude_mae", np.ones((2, 5, 4)), np.ones((2, 5, 4)), mask=np.ones((4, 5), bool))
