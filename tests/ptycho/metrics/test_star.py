"""Spokes are found where they are, and not where they are not."""

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.errors import ShapeError
from ptycho.metrics.registration import Placed
from ptycho.metrics.star import find_centre, measure_star

CENTRE = (104.3, 91.6)


def make_star(n_spokes: int = 24, blur: float = 1.0, noise: float = 0.05, missing: bool = False) -> Placed:
    """A phase star on a canvas that is not square, off its middle."""
    rng = np.random.default_rng(0)
    y, x = np.indices((200, 190)) - np.array(CENTRE)[:, None, None]
    phase = np.where(np.sin(n_spokes * np.arctan2(y, x)) > 0, -0.8, 0.0)
    phase[np.hypot(y, x) < 10] = 0
    if missing:
        phase[(np.arctan2(y, x) > 0.3) & (np.arctan2(y, x) < 0.9)] = 0
    phase = scipy.ndimage.gaussian_filter(phase, blur) if blur else phase
    grain = rng.standard_normal((2, *phase.shape))
    return place(np.exp(1j * phase) + noise * (grain[0] + 1j * grain[1]))


def place(values: NDArray[np.complex128]) -> Placed:
    """An object known but for a rim."""
    region = np.zeros(values.shape, bool)
    region[6:-6, 6:-6] = True
    return Placed(values, np.zeros(2), region)


@pytest.mark.parametrize("missing", [False, True])
def test_the_centre_is_found_in_the_picture(missing: bool) -> None:
    np.testing.assert_allclose(find_centre(make_star(missing=missing)), CENTRE, atol=0.7)


@pytest.mark.parametrize("n_spokes", [12, 24, 36])
def test_spokes_are_counted_and_their_contrast_is_high(n_spokes: int) -> None:
    star = measure_star(make_star(n_spokes))
    assert star.n_spokes == n_spokes
    assert star.contrast > 0.8


def test_a_star_that_lacks_spokes_is_still_one() -> None:
    star = measure_star(make_star(missing=True))
    assert star.n_spokes == 24
    assert star.contrast > 0.6


def test_a_blurred_star_is_resolved_less_far() -> None:
    sharp, blurred = (measure_star(make_star(blur=blur)) for blur in (1.0, 4.0))
    assert sharp.resolved_radius is not None
    assert blurred.resolved_radius is not None
    assert sharp.resolved_radius < 20 < blurred.resolved_radius
    assert blurred.resolved_period == pytest.approx(2 * np.pi * blurred.resolved_radius / 24)


@pytest.mark.parametrize("blur", [0.0, 1.0, 3.0, 6.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_noise_has_no_spokes(blur: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    grain = rng.standard_normal((2, 200, 190))
    smooth = scipy.ndimage.gaussian_filter(grain[0] + 1j * grain[1], blur)
    star = measure_star(place(1 + smooth))
    assert star.contrast < 0.15
    assert star.resolved_radius is None
    assert star.resolved_period is None


def test_a_raster_has_no_spokes() -> None:
    y, x = np.indices((200, 190))
    assert measure_star(place(np.exp(0.5j * np.sin(y / 2) * np.cos(x / 2)))).contrast < 0.2


def test_too_small_a_region_is_refused() -> None:
    with pytest.raises(ShapeError, match="expected at least 16 whole rings"):
        measure_star(place(make_star().object[90:120, 80:110]))
