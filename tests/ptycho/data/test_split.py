"""Which frames are held out, how the halves alternate, and what validates."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from ptycho.data import FrameSet, Scan, find_held_out, select_frames
from ptycho.data.examples import make_examples
from ptycho.data.groups import group_frames
from ptycho.data.normalisation import fit_normalisation
from ptycho.data.sabotage import Sabotage, sabotage_scan
from ptycho.data.split import probe_radius
from ptycho.data.validation import split_examples, split_strip
from ptycho.errors import ConfigError, DataError, ShapeError


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


def test_a_set_goes_by_its_name_and_no_other(small_scan: Scan) -> None:
    by_name = select_frames(small_scan, "train")  # type: ignore[arg-type]
    np.testing.assert_array_equal(by_name, select_frames(small_scan, FrameSet.TRAIN))
    with pytest.raises(ConfigError, match="frames: expected one of all, train, half-a, half-b, found 'third'"):
        select_frames(small_scan, "third")  # type: ignore[arg-type]


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


def make_rectangle(rows: int, columns: int) -> np.ndarray:
    grid = np.indices((rows, columns)).reshape(2, -1).T.astype(np.float64)
    return 5.0 * grid[np.random.default_rng(0).permutation(len(grid))]


@pytest.mark.parametrize(("rows", "columns", "axis"), [(12, 7, 0), (7, 12, 1)])
def test_a_strip_at_the_end_of_the_longer_axis_validates(rows: int, columns: int, axis: int) -> None:
    positions = make_rectangle(rows, columns)
    train, validation = split_strip(positions, 0.25)
    np.testing.assert_array_equal(np.sort(np.concatenate((train, validation))), np.arange(84))
    assert validation.size == 21
    assert positions[train, axis].max() < positions[validation, axis].min()
    np.testing.assert_array_equal(np.sort(validation), validation)


def test_a_strip_that_cuts_a_row_takes_one_end_of_it() -> None:
    positions = make_rectangle(12, 7)
    train, validation = split_strip(positions, 10 / 84)
    cut = positions[validation][positions[validation, 0] == 50.0]
    assert sorted(cut[:, 1]) == [20.0, 25.0, 30.0]
    assert positions[train, 0].max() == 50.0


def test_groups_of_the_strip_share_no_frame_with_those_of_the_rest(small_scan: Scan) -> None:
    parts = split_strip(small_scan.probe_positions, 0.2)
    used = [part[group_frames(small_scan.probe_positions[part], 4).members] for part in parts]
    assert np.intersect1d(*used).size == 0
    np.testing.assert_array_equal(np.unique(np.concatenate([some.ravel() for some in used])), np.arange(63))


def test_examples_are_parted_at_random_by_a_seed_and_none_is_lost(small_scan: Scan) -> None:
    groups = group_frames(small_scan.probe_positions, 4)
    examples = make_examples(small_scan, groups, fit_normalisation(small_scan.diffraction), labels=True)
    train, validation = split_examples(examples, 0.1, seed=3)
    assert (len(train), len(validation)) == (57, 6)
    both = np.concatenate((train.positions, validation.positions))
    np.testing.assert_array_equal(np.unique(both, axis=0), np.unique(examples.positions, axis=0))
    everything = np.arange(6)
    again = split_examples(examples, 0.1, seed=3)[1].read(everything)
    np.testing.assert_array_equal(validation.read(everything).amplitudes, again.amplitudes)
    np.testing.assert_array_equal(validation.read(everything).targets, again.targets)
    assert (split_examples(examples, 0.1, seed=4)[1].positions != validation.positions).any()


@pytest.mark.parametrize(("fraction", "count"), [(1e-9, 1), (1 - 1e-9, 62)])
def test_either_part_has_something(fraction: float, count: int, small_scan: Scan) -> None:
    assert split_strip(small_scan.probe_positions, fraction)[1].size == count


def test_splits_that_cannot_be_had_are_refused(small_scan: Scan) -> None:
    positions = small_scan.probe_positions
    for fraction in (0.0, 1.0, float("nan")):
        with pytest.raises(ConfigError, match=r"expected a validation fraction in \(0, 1\), found"):
            split_strip(positions, fraction)
    with pytest.raises(DataError, match="expected at least two to be parted, found 1"):
        split_strip(positions[:1], 0.5)
    with pytest.raises(ShapeError, match=r"positions: expected \(n, 2\), found \(63,\)"):
        split_strip(positions[:, 0], 0.5)
    examples = make_examples(small_scan, group_frames(positions, 1), fit_normalisation(small_scan.diffraction))
    with pytest.raises(ConfigError, match="seed: expected a whole number >= 0, found -1"):
        split_examples(examples, 0.5, seed=-1)
