"""Known values of the fluence of an exposure."""

import numpy as np
import pytest
from ptycho.physics.fluence import fluence


def test_photons_on_a_square_micrometre_are_counted_as_they_are() -> None:
    assert fluence(4.6e5, lit_pixels=100, pixel_size_m=1e-7) == pytest.approx(4.6e5, rel=1e-12)


def test_pixels_half_as_wide_get_four_times_the_fluence() -> None:
    wide, narrow = (fluence(1e6, lit_pixels=2500, pixel_size_m=size) for size in (2e-8, 1e-8))
    assert wide == pytest.approx(1e6)
    assert narrow == pytest.approx(4 * wide)


def test_a_scan_of_many_exposures_adds_their_photons() -> None:
    photons = np.random.default_rng(5).poisson(3e4, 200)
    single = [fluence(float(count), lit_pixels=640, pixel_size_m=1.4e-8) for count in photons]
    assert fluence(float(photons.sum()), lit_pixels=640, pixel_size_m=1.4e-8) == pytest.approx(sum(single))


def test_without_lit_pixels_there_is_no_fluence() -> None:
    for pixels, size in ((0, 1e-8), (100, 0.0)):
        with pytest.raises(ValueError, match="expected lit pixels and a pixel size above 0"):
            fluence(1e5, lit_pixels=pixels, pixel_size_m=size)
