"""Known values of the area that two equal discs share."""

import numpy as np
import pytest
from ptycho.physics.overlap import disc_overlap


def test_coinciding_discs_share_everything() -> None:
    assert disc_overlap(0.0, 5.0) == pytest.approx(1.0)


def test_discs_one_radius_apart_share_their_known_fraction() -> None:
    assert disc_overlap(5.0, 5.0) == pytest.approx(2 / 3 - np.sqrt(3) / (2 * np.pi), abs=1e-12)


def test_discs_two_radii_apart_share_nothing() -> None:
    assert disc_overlap(10.0, 5.0) == pytest.approx(0.0)
    assert disc_overlap(11.0, 5.0) == 0.0


def test_the_fraction_agrees_with_counting_points() -> None:
    y, x = np.mgrid[-1:1:2001j, -1:1:2001j]
    inside = x**2 + y**2 <= 1
    for distance in (0.3, 0.9, 1.6):
        shared = inside & ((x - distance) ** 2 + y**2 <= 1)
        assert disc_overlap(distance, 1.0) == pytest.approx(shared.sum() / inside.sum(), abs=2e-3)
