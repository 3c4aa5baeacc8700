"""Promises that every operator of the registry keeps."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ptycho.physics.propagation import backpropagate, propagate
from ptycho.physics.registry import OPERATORS, LinearOperator, make_setting
from ptycho.physics.shift import shift_probe

FRAME_SHAPES = [(8, 8), (7, 9), (12, 5), (9, 16)]


def draw(shape: tuple[int, ...], seed: int) -> NDArray[np.complex128]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@pytest.mark.parametrize("frame_shape", FRAME_SHAPES, ids=str)
@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.name)
def test_the_adjoint_is_the_adjoint(operator: LinearOperator, frame_shape: tuple[int, int]) -> None:
    setting = make_setting(frame_shape)
    x, y = draw(operator.domain(setting), 1), draw(operator.range(setting), 2)
    ax, ahy = operator.forward(setting)(x), operator.adjoint(setting)(y)
    assert ax.shape == y.shape
    assert ahy.shape == x.shape
    left, right = np.vdot(y, ax), np.vdot(ahy, x)
    assert abs(left - right) <= 1e-12 * np.linalg.norm(y) * np.linalg.norm(ax)


@pytest.mark.parametrize("operator", OPERATORS[:3], ids=lambda operator: operator.name)
def test_single_precision_goes_in_and_comes_out(operator: LinearOperator) -> None:
    setting = make_setting((7, 9))
    x = draw(operator.domain(setting), 1)
    single = operator.forward(setting)(x.astype(np.complex64))
    double = operator.forward(setting)(x)
    assert single.dtype == np.complex64
    assert np.abs(single - double).max() <= 1e-5 * np.abs(double).max()


@pytest.mark.parametrize(("dtype", "limit"), [(np.complex128, 1e-6), (np.complex64, 1e-5)])
@pytest.mark.parametrize("shape", [(64, 127), (127, 128), (128, 64), (256, 127)], ids=str)
def test_propagation_keeps_the_energy_and_can_be_undone(
    shape: tuple[int, ...], dtype: type[np.complexfloating], limit: float
) -> None:
    wave = draw(shape, 3).astype(dtype)
    field = propagate(wave)
    energy = np.sum(np.abs(wave) ** 2, dtype=np.float64)
    assert abs(np.sum(np.abs(field) ** 2, dtype=np.float64) - energy) <= limit * energy
    assert np.abs(backpropagate(field) - wave).max() <= limit * np.abs(wave).max()


@pytest.mark.parametrize("shape", [(8, 9), (9, 8)], ids=str)
def test_the_detectors_origin_lies_at_half_the_frame(shape: tuple[int, ...]) -> None:
    field = propagate(np.ones(shape, np.complex128))
    brightest = np.unravel_index(np.abs(field).argmax(), shape)
    assert brightest == (shape[0] // 2, shape[1] // 2)


@pytest.mark.parametrize("shape", [(16, 21), (21, 16)], ids=str)
def test_a_shift_by_whole_pixels_is_a_roll(shape: tuple[int, ...]) -> None:
    probe = draw((2, *shape), 4)
    shifted = shift_probe(probe, np.array([[2.0, -3.0]]))
    np.testing.assert_allclose(shifted[0], np.roll(probe, (2, -3), axis=(1, 2)), atol=1e-12)


def test_a_shift_between_pixels_keeps_the_energy() -> None:
    probe = draw((1, 16, 21), 5)
    shifted = shift_probe(probe, np.array([[0.3, -0.45]]))
    assert np.sum(np.abs(shifted) ** 2) == pytest.approx(np.sum(np.abs(probe) ** 2), rel=1e-12)
