"""Groups of neighbours: who is in them, in which order, and how often."""

from collections import Counter
from math import comb

import numpy as np
import pytest
from numpy.typing import NDArray

from ptycho.data.groups import Membership, cover_frames, group_frames
from ptycho.errors import ConfigError, DataError, ShapeError


def draw_positions(n: int, seed: int = 0) -> NDArray[np.float64]:
    """A skewed scan, wider than high."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 1, (n, 2)) @ np.array([[30.0, 12.0], [-5.0, 80.0]])


@pytest.mark.parametrize("size", [1, 4, 9])
@pytest.mark.parametrize("neighbours", [8, 11])
def test_a_group_is_its_anchor_and_some_of_its_nearest_sorted_by_angle(size: int, neighbours: int) -> None:
    positions = draw_positions(60)
    groups = group_frames(positions, size, neighbours=neighbours, seed=3)
    assert groups.members.shape == (60, size)
    np.testing.assert_array_equal(groups.members[:, 0], np.arange(60))  # None: every frame is an anchor once
    for anchor, *others in groups.members:
        step = positions - positions[anchor]
        nearest = [frame for frame in np.argsort(np.hypot(*step.T), kind="stable") if frame != anchor][:neighbours]
        assert set(others) <= set(nearest)
        assert len(set(others)) == size - 1
        angles = np.arctan2(step[others, 0], step[others, 1])
        assert (np.diff(angles) >= 0).all()


def test_frames_at_one_position_are_told_by_their_index() -> None:
    positions = np.repeat(draw_positions(12), 6, axis=0)  # six frames at each place, more than K + 1
    groups = group_frames(positions, 4, neighbours=4)
    assert [len(set(row)) for row in groups.members.tolist()] == [4] * 72
    np.testing.assert_array_equal(groups.members[:, 0], np.arange(72))
    assert np.abs(groups.offsets).max() == 0  # the nearest stand where the anchor stands


def test_c_of_k_leaves_the_anchor_out_sometimes_and_repeats_no_frame() -> None:
    positions = draw_positions(50)
    groups = group_frames(positions, 4, n_groups=500, membership=Membership.ANY, seed=1)
    assert [len(set(row)) for row in groups.members.tolist()] == [4] * 500
    about = positions[groups.members] - groups.centres[:, None]
    assert (np.diff(np.arctan2(about[..., 0], about[..., 1]), axis=1) >= 0).all()


def test_every_combination_is_equally_likely_and_every_frame_equally_often_an_anchor() -> None:
    positions = draw_positions(8)
    count = 35 * 8 * 40
    groups = group_frames(positions, 4, neighbours=7, n_groups=count, seed=4)
    assert set(np.bincount(groups.members[:, 0])) == {count // 8}
    seen = Counter(frozenset(row[1:]) for row in groups.members.tolist() if row[0] == 2)
    expected = count / 8 / comb(7, 3)
    assert len(seen) == comb(7, 3)
    statistic = sum((value - expected) ** 2 / expected for value in seen.values())  # chi² with 34 degrees of freedom
    assert abs(statistic - 34) < 5 * np.sqrt(2 * 34)
    first_combinations_only = 34 * expected + (count / 8 - expected) ** 2 / expected
    assert first_combinations_only - 34 > 20 * np.sqrt(2 * 34)


@pytest.mark.parametrize("count", [1, 7, 30, 31, 95])
def test_any_number_of_groups_is_dealt_evenly(count: int) -> None:
    groups = group_frames(draw_positions(30), 4, n_groups=count)
    used = np.bincount(groups.members[:, 0], minlength=30)
    assert len(groups) == count
    assert used.max() - used.min() <= 1


def test_no_neighbour_lies_beyond_the_bound_and_lonely_frames_are_no_anchors() -> None:
    positions = np.concatenate((draw_positions(40), [[500.0, 500.0], [501.0, 500.0]]))
    groups = group_frames(positions, 4, max_distance=20.0)
    reach = np.linalg.norm(positions[groups.members] - positions[groups.members[:, :1]], axis=-1)
    assert reach.max() <= 20
    assert not {40, 41} & set(groups.members.ravel())
    with pytest.raises(DataError, match=r"expected a frame with 3 others within 0\.001 px, found at most 0"):
        group_frames(positions, 4, max_distance=1e-3)


def test_one_seed_repeats_two_differ_and_the_global_generator_is_left_alone() -> None:
    positions = draw_positions(40)
    state = np.random.get_state()  # noqa: NPY002 -- the global state is what is watched
    first, same, other = (group_frames(positions, 4, n_groups=25, seed=seed).members for seed in (1, 1, 2))
    after = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    assert state[2] == after[2]
    np.testing.assert_array_equal(state[1], after[1])


def test_offsets_are_positions_about_the_groups_centre() -> None:
    groups = group_frames(draw_positions(20), 4)
    np.testing.assert_allclose(groups.offsets.sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(groups.centres[:, None] + groups.offsets, groups.positions[groups.members])


def test_impossible_groups_are_named() -> None:
    positions = draw_positions(6)
    with pytest.raises(ConfigError, match="K: expected a whole number >= 3, found 2"):
        group_frames(positions, 4, neighbours=2, n_groups=5)
    with pytest.raises(DataError, match="expected at least 9 frames for groups of 9, found 6"):
        group_frames(positions, 9, neighbours=8)
    with pytest.raises(ShapeError, match=r"positions: expected \(n, 2\), found \(2, 6\)"):
        group_frames(positions.T, 4)
    with pytest.raises(DataError, match="found NaN"):
        group_frames(positions * np.nan, 4)
    for seed in (-1, None):  # a generator that is not seeded repeats nothing
        with pytest.raises(ConfigError, match=f"seed: expected a whole number >= 0, found {seed}"):
            group_frames(positions, 4, seed=seed)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"B: expected a whole number >= 1, found 1\.5"):
        group_frames(positions, 4, n_groups=1.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="membership: expected one of anchored, any, found 'all'"):
        group_frames(positions, 4, membership="all")


def test_whole_numbers_of_numpy_count_as_those_of_python() -> None:
    positions = draw_positions(20)
    known = group_frames(positions, 4, neighbours=5, n_groups=7, seed=3)
    found = group_frames(positions, np.uint8(4), neighbours=np.int16(5), n_groups=np.uint8(7), seed=np.int64(3))
    np.testing.assert_array_equal(found.members, known.members)


def test_a_membership_may_be_given_as_text() -> None:
    for membership in Membership:
        known, found = (group_frames(draw_positions(20), 4, membership=name) for name in (membership, str(membership)))
        np.testing.assert_array_equal(found.members, known.members)


def test_fewer_groups_still_hold_every_frame() -> None:
    groups = group_frames(draw_positions(200), 4, neighbours=5)
    some = cover_frames(groups, seed=1)
    assert len(some) < 120
    assert set(some.members.ravel()) == set(range(200))
    assert {tuple(members) for members in some.members} <= {tuple(members) for members in groups.members}
    np.testing.assert_array_equal(cover_frames(groups, seed=1).members, some.members)
    assert len(cover_frames(group_frames(draw_positions(50), 1))) == 50
