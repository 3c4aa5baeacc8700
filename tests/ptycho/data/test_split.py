"""Which frames are held out, and how the halves alternate."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from ptycho.data import FrameSet, Scan, find_held_out, select_frames
from ptycho.data.sabotage import Sabotage, sabotage_scan
from ptycho.data.split import probe_radius
from ptycho.errors import DataError


def test_held_out_frames_are_few_fixed_and_well_covered(small_scan: Scan) -> None:
    held = find_held_out(small_scan)
    assert 0.05 <= held.size / small_scan.n_frames <= 0.08
    np.testing.assert_array_equal(held, find_held_out(small_scan))
    seen = cKDTree(small_scan.probe_positions[select_frames(small_scan, FrameSet.TRAIN)])
    for frame in held:
        assert len(seen.query_ball_point(small_scan.probe_positions[frame], probe_radius(small_scan.probe))) >= 4


def test_a_held_out_frame_keeps_four_neighbours_that_the_solver_sees(small_scan: Scan) -> None:
    """Five frames cover each other, the others nothing: only one of the five can be held out, not the draw's three."""
    positions = 100.0 * np.arange(45)[:, None] * (1, 1)
    positions[20:25] = positions[20] + np.array([(0, 0), (1, 0), (0, 1), (1, 1), (2, 2)])
    scan = replace(small_scan.select(np.arange(45)), probe_positions=positions)
    held = find_held_out(scan)
    assert held.size == 1
    assert 20 <= held[0] < 25


def test_the_sets_share_no_frame_that_they_should_not(small_scan: Scan) -> None:
    held = find_held_out(small_scan)
    train, first, second = (
        select_frames(small_scan, which) for which in (FrameSet.TRAIN, FrameSet.HALF_A, FrameSet.HALF_B)
    )
    np.testing.assert_array_equal(np.sort(np.concatenate((train, held))), select_frames(small_scan, FrameSet.ALL))
    np.testing.assert_array_equal(np.sort(np.concatenate((first, second))), train)
    assert abs(first.size - second.size) <= 1


def test_the_halves_alternate_in_space(small_scan: Scan) -> None:
    train = small_scan.probe_positions[select_frames(small_scan, FrameSet.TRAIN)]
    whole = cKDTree(train).query(train, k=2)[0][:, 1].mean()
    for which in (FrameSet.HALF_A, FrameSet.HALF_B):
        half = small_scan.probe_positions[select_frames(small_scan, which)]
        gap = cKDTree(half).query(train)[0].max()
        assert gap < 2.5 * whole  # no region is left to the other half alone


def test_a_scan_without_overlap_cannot_hold_frames_out(small_scan: Scan) -> None:
    sparse = replace(small_scan, probe_positions=100 * small_scan.probe_positions)
    with pytest.raises(DataError, match="expected frames covered by at least 4 others, found at most 0"):
        find_held_out(sparse)
    assert select_frames(sparse, FrameSet.ALL).size == sparse.n_frames


def test_the_probes_radius_holds_nine_tenths_of_its_power() -> None:
    y, x = np.indices((64, 64)) - np.array([30, 35])[:, None, None]
    width = 5.0
    probe = np.exp(-(y**2 + x**2) / (4 * width**2))[None].astype(np.complex64)
    assert probe_radius(probe) == pytest.approx(width * np.sqrt(2 * np.log(10)), abs=0.5)


def test_sabotage_is_the_same_every_time_and_says_so(small_scan: Scan) -> None:
    assert sabotage_scan(small_scan, Sabotage.NONE) is small_scan
    for sabotage in (Sabotage.SHUFFLED, Sabotage.TRANSPOSED, Sabotage.NOISE):
        wrong, again = (sabotage_scan(small_scan, sabotage) for _ in range(2))
        np.testing.assert_array_equal(wrong.probe_positions, again.probe_positions)
        np.testing.assert_array_equal(wrong.diffraction, again.diffraction)
        assert wrong.provenance["sabotage"] == sabotage
        assert sabotage in wrong.name
    shuffled = sabotage_scan(small_scan, Sabotage.SHUFFLED).probe_positions
    assert (shuffled != small_scan.probe_positions).any()
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(small_scan.probe_positions, axis=0))
    assert sabotage_scan(small_scan, Sabotage.NOISE).photons_per_frame == pytest.approx(10, rel=0.2)
