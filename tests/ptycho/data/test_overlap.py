"""Overlap of neighbouring exposures, by area and by length."""

from dataclasses import replace

import numpy as np
import pytest

from ptycho.commands.info import describe
from ptycho.data import Scan
from ptycho.data.overlap import disc_overlap, lattice_regularity, linear_overlap, neighbour_overlap
from ptycho.data.split import probe_radius
from ptycho.errors import DataError


@pytest.mark.parametrize("radius", [0.3, 1.0, 17.5])
def test_the_shared_area_of_discs_has_its_known_values(radius: float) -> None:
    assert disc_overlap(0.0, radius) == 1
    assert disc_overlap(radius, radius) == pytest.approx(2 / 3 - np.sqrt(3) / (2 * np.pi), abs=1e-14)
    assert disc_overlap(radius, radius) == pytest.approx(0.391, abs=5e-4)
    np.testing.assert_array_equal(disc_overlap(radius * np.array([[2.0, 2.5], [90.0, np.inf]]), radius), 0)


def test_the_shared_area_is_what_counting_points_finds() -> None:
    y, x = np.mgrid[-1:1:2001j, -1:1:2001j]
    inside = x**2 + y**2 <= 1
    for distance in (0.3, 0.9, 1.6):
        shared = inside & ((x - distance) ** 2 + y**2 <= 1)
        assert disc_overlap(distance, 1.0) == pytest.approx(shared.sum() / inside.sum(), abs=2e-3)


def test_the_linear_measure_is_larger_between_its_ends() -> None:
    distance = np.linspace(0, 6, 61)
    linear, area = linear_overlap(distance, 2.0), disc_overlap(distance, 2.0)
    np.testing.assert_allclose(linear, np.maximum(1 - distance / 4, 0))
    between = (distance > 0) & (distance < 4)
    assert (linear > area)[between].all()
    np.testing.assert_array_equal(linear[~between], area[~between])


def test_a_scans_overlap_is_the_mean_over_its_frames() -> None:
    """Two frames 3 px apart, two at one place, and one alone: not the overlap at the mean or median distance."""
    positions = np.array([(0.0, 0.0), (0.0, 3.0), (50.0, 0.0), (50.0, 0.0), (900.0, 900.0)])
    found = neighbour_overlap(positions, 5.0)
    assert found.linear == pytest.approx((0.7 + 0.7 + 1 + 1 + 0) / 5)
    assert found.area == pytest.approx((2 * float(disc_overlap(3.0, 5.0)) + 2) / 5)


def test_a_scan_is_described_by_both_measures_with_the_radius_of_its_probe(small_scan: Scan) -> None:
    found = neighbour_overlap(small_scan.probe_positions, probe_radius(small_scan.probe))
    facts = describe(small_scan)
    assert 0 < found.area < found.linear < 1
    assert (facts["overlap_area"], facts["overlap_linear"]) == (found.area, found.linear)
    alone, point = small_scan.select([3]), np.zeros_like(small_scan.probe)
    point[0, 4, 5] = 1
    for scan in (alone, replace(small_scan, probe=point)):
        assert (describe(scan)["overlap_area"], describe(scan)["overlap_linear"]) == (None, None)


@pytest.mark.parametrize(("distance", "radius"), [(1.0, 0.0), (1.0, -2.0), (1.0, np.nan), (-1.0, 1.0), (np.nan, 1.0)])
def test_discs_that_cannot_be_are_refused(distance: float, radius: float) -> None:
    with pytest.raises(DataError, match="expected a radius > 0 and distances >= 0, found"):
        disc_overlap(distance, radius)
    with pytest.raises(DataError, match="expected a radius > 0 and distances >= 0, found"):
        linear_overlap([0.0, distance], radius)


def test_one_frame_has_no_neighbour_and_a_dark_probe_no_radius(small_scan: Scan) -> None:
    with pytest.raises(DataError, match=r"expected positions \(n, 2\) of two frames or more, found \(1, 2\)"):
        neighbour_overlap(np.zeros((1, 2)), 5.0)
    with pytest.raises(DataError, match=r"probe: expected light in its modes .*, found only zeros in \(3, 8, 9\)"):
        probe_radius(np.zeros((3, 8, 9), np.complex64))


def test_a_lattice_is_told_from_positions_without_order() -> None:
    rng = np.random.default_rng(4)
    grid = 9.0 * np.indices((12, 15)).reshape(2, -1).T
    for shear in ([[1, 0], [0, 1]], [[1, 0.3], [0, 1]], [[np.sqrt(3) / 2, 0.5], [0, 1]]):
        assert lattice_regularity(grid @ np.array(shear)) == pytest.approx(1, abs=2e-3)
    for spread in (0.5, 1.0):
        found = lattice_regularity(grid + rng.normal(0, spread, grid.shape))
        assert found == pytest.approx(np.exp(-((2 * np.pi / 9 * spread) ** 2)), abs=0.06)
    assert (lattice_regularity(rng.uniform(0, 120, grid.shape)) or 1) < 0.1
    lost = np.concatenate((grid, [[1e12, -1e9]]))
    assert lattice_regularity(lost) == lattice_regularity(grid)
    assert lattice_regularity(grid[:3]) is lattice_regularity(0 * grid) is None


def test_the_fluence_is_the_dose_over_the_lit_disc(small_scan: Scan) -> None:
    facts = describe(replace(small_scan, pixel_size_m=2e-8))
    area = np.pi * (0.02 * probe_radius(small_scan.probe)) ** 2
    assert facts["fluence_photons_per_um2"] == pytest.approx(0.9 * small_scan.photons_per_frame / area)
    assert describe(small_scan)["fluence_photons_per_um2"] is None
