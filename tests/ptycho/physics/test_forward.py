"""The forward model against closed forms."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ptycho.errors import ShapeError
from ptycho.physics import (
    extract_patches,
    make_canvas,
    predict_intensity,
    split_positions,
)
from ptycho.physics.forward import diffract, diffract_adjoint_object, predict_patches
from ptycho.physics.setting import make_setting


def gaussian(y: NDArray[np.floating], x: NDArray[np.floating], width: float) -> NDArray[np.floating]:
    return np.exp(-(y**2 + x**2) / (2 * width**2))


def test_positions_split_into_corners_and_remainders() -> None:
    positions = np.array([[3.5, -2.25], [0.49, 7.0], [-0.5, 0.0]])
    origin = np.array([-10.0, -12.0])
    corners, remainders = split_positions(positions, origin, (5, 8))
    np.testing.assert_allclose(origin + corners + (2, 4) + remainders, positions)
    assert (remainders >= -0.5).all()
    assert (remainders < 0.5).all()


@pytest.mark.parametrize("frame_shape", [(5, 8), (6, 7)], ids=str)
def test_a_position_coded_object_is_neither_mirrored_nor_swapped(frame_shape: tuple[int, int]) -> None:
    positions = np.array([[4.0, -6.0], [-3.0, 9.0], [0.0, 0.0]])
    canvas = make_canvas(positions, frame_shape)
    y, x = np.indices(canvas.shape)
    coded = (y + canvas.origin[0]) + 1j * (x + canvas.origin[1])
    corners, _ = split_positions(positions, canvas.origin, frame_shape)
    centre = extract_patches(coded, corners, frame_shape)[:, frame_shape[0] // 2, frame_shape[1] // 2]
    np.testing.assert_allclose(centre, positions[:, 0] + 1j * positions[:, 1])


def test_a_position_between_pixels_sees_the_object_there() -> None:
    shape, position = (48, 40), np.array([[2.3, -1.4]])
    canvas = make_canvas(position, shape, margin=4)
    y, x = np.indices(canvas.shape) + canvas.origin[:, None, None]
    obj = 1 + 0.7j * gaussian(y - 4.0, x + 3.0, 3.0)
    s_y, s_x = np.indices(shape) - np.array(shape)[:, None, None] // 2
    probe = gaussian(s_y - 1.0, s_x, 4.0) * np.exp(0.02j * s_y * s_x)
    seen = 1 + 0.7j * gaussian(s_y + 2.3 - 4.0, s_x - 1.4 + 3.0, 3.0)
    expected = np.abs(np.fft.fftshift(np.fft.fft2(probe * seen, norm="ortho"))) ** 2
    predicted = predict_intensity(obj, canvas.origin, probe[None], position)[0]
    np.testing.assert_allclose(predicted, expected, atol=1e-6 * expected.max())
    whole = predict_intensity(obj, canvas.origin, probe[None], np.round(position))[0]
    assert np.abs(whole - expected).max() > 1e-3 * expected.max()  # the remainder matters


def test_modes_add_in_intensity_and_gain_and_background_follow() -> None:
    setting = make_setting((7, 9), modes=2)
    both = predict_intensity(setting.obj, setting.origin, setting.probe, setting.positions)
    each = [predict_intensity(setting.obj, setting.origin, setting.probe[m : m + 1], setting.positions) for m in (0, 1)]
    np.testing.assert_allclose(both, each[0] + each[1])
    scaled = predict_intensity(setting.obj, setting.origin, setting.probe, setting.positions, gain=2.0, background=0.5)
    np.testing.assert_allclose(scaled, 2 * both + 0.5)


def test_slabs_do_not_change_the_prediction() -> None:
    setting = make_setting((7, 9), frames=70)
    whole = predict_intensity(setting.obj, setting.origin, setting.probe, setting.positions)
    single = [
        predict_intensity(setting.obj, setting.origin, setting.probe, position[None])[0]
        for position in setting.positions
    ]
    np.testing.assert_allclose(whole, single)


def test_an_empty_object_lets_the_probes_power_through() -> None:
    setting = make_setting((7, 9))
    predicted = predict_intensity(np.ones_like(setting.obj), setting.origin, setting.probe, setting.positions)
    np.testing.assert_allclose(predicted.sum(axis=(1, 2)), np.sum(np.abs(setting.probe) ** 2))


def test_the_gradient_of_the_amplitude_loss_agrees_with_finite_differences() -> None:
    setting = make_setting((7, 9))
    rng = np.random.default_rng(6)
    measured = rng.uniform(1, 3, (len(setting.positions), *setting.frame_shape))

    def loss(obj: NDArray[np.complexfloating]) -> float:
        model = predict_intensity(obj, setting.origin, setting.probe, setting.positions)
        return float(np.sum((measured - np.sqrt(model)) ** 2))

    fields = diffract(setting.obj, setting.origin, setting.probe, setting.positions)
    model = np.sqrt((np.abs(fields) ** 2).sum(axis=1, keepdims=True))
    residual = (1 - measured[:, None] / model) * fields
    gradient = 2 * diffract_adjoint_object(
        residual, setting.origin, setting.probe, setting.positions, setting.obj.shape
    )
    direction = rng.standard_normal(setting.obj.shape) + 1j * rng.standard_normal(setting.obj.shape)
    h = 1e-6
    slope = (loss(setting.obj + h * direction) - loss(setting.obj - h * direction)) / (2 * h)
    assert slope == pytest.approx(np.vdot(gradient, direction).real, rel=1e-6)


def test_pixels_that_cannot_be_believed_are_dark() -> None:
    setting = make_setting((7, 9))
    arguments = (setting.obj, setting.origin, setting.probe, setting.positions)
    whole = predict_intensity(*arguments, background=0.5)
    masked = predict_intensity(*arguments, background=0.5, mask=setting.mask)
    np.testing.assert_array_equal(masked, whole * setting.mask)


def test_patches_under_the_probe_predict_what_their_object_does() -> None:
    setting = make_setting((7, 9), modes=3)
    positions = np.round(setting.positions)
    corners, _ = split_positions(positions, setting.origin, setting.frame_shape)
    patches = extract_patches(setting.obj, corners, setting.frame_shape)
    expected = predict_intensity(setting.obj, setting.origin, setting.probe, positions, gain=2.0, background=0.1)
    predicted = predict_patches(patches, setting.probe, gain=2.0, background=0.1)
    np.testing.assert_allclose(predicted, expected, atol=1e-12 * expected.max())
    with pytest.raises(ShapeError, match=r"probe: expected shape \(3, 7, 8\), found \(3, 7, 9\)"):
        predict_patches(patches[:, :, :8], setting.probe)


def test_a_patch_that_leaves_the_canvas_is_named() -> None:
    with pytest.raises(ShapeError, match=r"patch 1: expected its corner between \(0, 0\) and \(5, 4\)"):
        extract_patches(np.ones((10, 10), complex), np.array([[0, 0], [6, 0]]), (5, 6))
