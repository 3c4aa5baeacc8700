"""Groups of neighbouring frames, which a network sees together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ptycho.checks import check_whole, parse_choice
from ptycho.errors import DataError, ShapeError
from ptycho.physics.groups import split_groups

__all__ = ["Groups", "Membership", "cover_frames", "default_neighbours", "group_chosen", "group_frames"]


class Membership(StrEnum):
    """Who belongs to the group of an anchor."""

    ANCHORED = "anchored"  # the anchor first, then C − 1 of its K nearest
    ANY = "any"  # C of the anchor and its K nearest, all alike


@dataclass(frozen=True, eq=False)
class Groups:
    """B groups of C frames.

    Attributes
    ----------
    members
        (B, C) int64, indices of frames; no frame is twice in one group.
    positions
        (n, 2) float64, (y, x) in pixels of all frames.
    """

    members: NDArray[np.int64]
    positions: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.members)

    @property
    def centres(self) -> NDArray[np.float64]:
        """(B, 2): the mean position of each group."""
        return split_groups(self.positions[self.members])[0][:, 0]

    @property
    def offsets(self) -> NDArray[np.float64]:
        """(B, C, 2): the true offsets, position − centre of the group, as (y, x)."""
        return split_groups(self.positions[self.members])[1]


def group_frames(
    positions: NDArray[np.float64],
    size: int,
    *,
    neighbours: int = 7,
    n_groups: int | None = None,
    seed: int = 0,
    membership: Membership | str = Membership.ANCHORED,
    max_distance: float | None = None,
) -> Groups:
    """Group frames with their nearest neighbours.

    Every combination of an anchor's neighbours is equally likely. Anchors are dealt in rounds: no frame is the
    anchor of two groups more than another, also when there are more groups than frames.

    Parameters
    ----------
    positions
        (n, 2) float64, (y, x) in pixels; two frames may share one.
    size
        C, the number of frames in a group.
    neighbours
        K, how many of the nearest frames are considered, the anchor not counted; all others if there are fewer.
    n_groups
        B; None makes every frame that has enough neighbours the anchor of one group.
    seed
        Of this function's own generator.
    membership
        Anchored groups list the anchor, then the others by their angle about it; the other kind lists all by
        their angle about the group's centre. Angles are atan2(y, x), ascending.
    max_distance
        Frames further than this from the anchor, in pixels, are not considered, and a frame with fewer than
        C − 1 others in reach is no anchor.

    Raises
    ------
    ConfigError
        If `size`, `neighbours`, `n_groups`, `seed` or `membership` cannot be had.
    ShapeError
        If the positions are not (n, 2).
    DataError
        If positions are not finite, or no frame has enough neighbours.
    """
    size = check_whole("groups: C", size)
    neighbours = check_whole("groups: K", neighbours, size - 1)
    n_groups = None if n_groups is None else check_whole("groups: B", n_groups)
    _check_positions(positions, size)
    membership = parse_choice("groups: membership", membership, Membership)
    seed = check_whole("groups: seed", seed, 0)
    near, distance = _find_near(positions, min(neighbours, len(positions) - 1))
    within = distance <= (np.inf if max_distance is None else max_distance)
    eligible = np.flatnonzero(within.sum(axis=1) >= size - 1)
    if eligible.size == 0:
        raise DataError(
            f"groups: expected a frame with {size - 1} others within {max_distance} px, found at most "
            f"{int(within.sum(axis=1).max(initial=0))}; raise the bound, or make the groups smaller"
        )
    rng = np.random.default_rng(seed)
    anchors = _deal(eligible, eligible.size if n_groups is None else n_groups, rng, ordered=n_groups is None)
    if membership is Membership.ANCHORED:
        chosen = _draw(near[anchors], within[anchors], size - 1, rng)
        ordered = _by_angle(positions, chosen, positions[anchors])
        return Groups(np.concatenate((anchors[:, None], ordered), axis=1), positions)
    candidates = np.concatenate((anchors[:, None], near[anchors]), axis=1)
    allowed = np.concatenate((np.ones((anchors.size, 1), bool), within[anchors]), axis=1)
    chosen = _draw(candidates, allowed, size, rng)
    return Groups(_by_angle(positions, chosen, positions[chosen].mean(axis=1)), positions)


def group_chosen(positions: NDArray[np.float64], chosen: NDArray[np.int64], size: int, *, seed: int = 0) -> Groups:
    """Group some frames among themselves, with `default_neighbours`; members index all frames.

    Parameters
    ----------
    positions
        (n, 2) float64, (y, x) in pixels of all frames.
    chosen
        (k,) int64, those that are grouped.
    size, seed
        See `group_frames`, whose errors are raised.
    """
    near = group_frames(positions[chosen], size, neighbours=default_neighbours(size), seed=seed)
    return Groups(chosen[near.members], positions)


def cover_frames(groups: Groups, seed: int = 0) -> Groups:
    """Return fewer of the groups that still hold every frame that is the anchor of one, drawn in a random order.

    A group is left out when its first frame, its anchor, is in one that was taken before.
    """
    covered = np.zeros(len(groups.positions), np.bool_)
    taken = []
    for group in np.random.default_rng(seed).permutation(len(groups)):
        if not covered[groups.members[group, 0]]:
            taken.append(group)
            covered[groups.members[group]] = True
    return Groups(groups.members[np.sort(taken)], groups.positions)


def default_neighbours(size: int) -> int:
    """Return K for compact groups of C frames that still differ from each other: C + 1."""
    return size + 1


def _check_positions(positions: NDArray[np.float64], size: int) -> None:
    """Raise unless there are positions for a group of a size."""
    if positions.ndim != 2 or positions.shape[1] != 2:
        raise ShapeError(f"positions: expected (n, 2), found {positions.shape}")
    if not np.isfinite(positions).all():
        raise DataError("positions: expected finite values, found NaN or infinity")
    if len(positions) < size:
        raise DataError(f"groups: expected at least {size} frames for groups of {size}, found {len(positions)}")


def _find_near(positions: NDArray[np.float64], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the k nearest other frames of each and their distances, (n, k) both; a frame is told by its index."""
    n = len(positions)
    if k == 0:
        return np.empty((n, 0), np.int64), np.empty((n, 0))
    distance, found = cKDTree(positions).query(positions, k=k + 1)
    itself = found == np.arange(n)[:, None]
    itself[~itself.any(axis=1), -1] = True  # more than k frames stand here: leave out the last instead
    return found[~itself].reshape(n, k).astype(np.int64), distance[~itself].reshape(n, k)


def _deal(frames: NDArray[np.intp], count: int, rng: np.random.Generator, *, ordered: bool) -> NDArray[np.int64]:
    """Return `count` frames, in rounds that each hold every frame once."""
    if ordered:
        return frames.astype(np.int64)
    rounds = [rng.permutation(frames) for _ in range(-(-count // frames.size))]
    return np.concatenate(rounds)[:count].astype(np.int64)


def _draw(
    candidates: NDArray[np.int64], allowed: NDArray[np.bool_], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return `count` of the allowed candidates of each row, every combination equally likely."""
    lots = np.where(allowed, rng.random(candidates.shape), np.inf)
    return np.take_along_axis(candidates, np.argsort(lots, axis=1)[:, :count], axis=1)


def _by_angle(
    positions: NDArray[np.float64], members: NDArray[np.int64], about: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return each row of members in the order of their angle about (B, 2) points."""
    dy, dx = np.moveaxis(positions[members] - about[:, None], -1, 0)
    return np.take_along_axis(members, np.argsort(np.arctan2(dy, dx), axis=1, kind="stable"), axis=1)
