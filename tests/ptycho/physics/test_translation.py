"""Translation against closed forms."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ptycho.errors import ConfigError, ShapeError
from ptycho.physics.translation import translate

KINDS = ["bilinear", "fourier"]


def blob(shape: tuple[int, int], y: float, x: float, width: float = 2.5) -> NDArray[np.float64]:
    rows, columns = np.indices(shape)
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * width**2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(8, 11), (9, 6)], ids=str)
@pytest.mark.parametrize("shift", [(2, -3), (0, 0), (-4, 5), (7, 1), (-3, 12), (40, -40)], ids=str)
def test_whole_pixels_move_and_zeros_come_in(shift: tuple[int, int], shape: tuple[int, int], kind: str) -> None:
    image = np.random.default_rng(0).standard_normal(shape) + 1j
    expected = np.zeros_like(image)
    for y, x in np.ndindex(shape):
        if 0 <= y - shift[0] < shape[0] and 0 <= x - shift[1] < shape[1]:
            expected[y, x] = image[y - shift[0], x - shift[1]]
    np.testing.assert_allclose(translate(image, np.array(shift, float), kind=kind), expected, atol=1e-12)


@pytest.mark.parametrize(("kind", "limit"), [("fourier", 1e-9), ("bilinear", 0.03)])
def test_a_smooth_image_moves_between_pixels(kind: str, limit: float) -> None:
    shape, shift = (48, 41), np.array([3.37, -2.81])
    moved = translate(blob(shape, 22, 21), shift, kind=kind)
    assert np.abs(moved - blob(shape, 25.37, 18.19)).max() < limit
    assert np.abs(moved - blob(shape, 18.63, 23.81)).max() > 0.5  # the other sign
    assert np.abs(moved - blob(shape, 19.19, 24.37)).max() > 0.5  # the other axis


def test_bilinear_reads_between_four_pixels() -> None:
    image = np.arange(12.0).reshape(3, 4)
    moved = translate(image, np.array([-0.25, -0.5]))
    assert moved[1, 1] == pytest.approx(0.75 * (5 + 6) / 2 + 0.25 * (9 + 10) / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_images_that_have_no_shift_are_refused(kind: str) -> None:
    with pytest.raises(ShapeError, match=r"shifts: expected shape \(3, 2\), found \(4, 2\)"):
        translate(np.zeros((3, 8, 8)), np.zeros((4, 2)), kind=kind)
    with pytest.raises(ShapeError, match="shifts"):
        translate(np.zeros((3, 8, 8)), np.zeros(2), kind=kind)


def test_an_interpolation_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="kind: expected one of bilinear, fourier, found 'cubic'"):
        translate(np.zeros((3, 8, 8)), np.zeros((3, 2)), kind="cubic")
