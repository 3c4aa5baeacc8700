"""Which frames a solver may see: the held-out frames, the training frames and two alternating halves."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ptycho.checks import parse_choice
from ptycho.data.scan import Scan
from ptycho.errors import DataError

__all__ = ["FrameSet", "find_held_out", "probe_radius", "select_frames"]

HELD_OUT_FRACTION = 0.065
HELD_OUT_SEED = 20_260_101  # never tuned: another seed is another study
MINIMUM_COVER = 4  # frames left to the solver whose probe reaches the centre of a held-out frame


class FrameSet(StrEnum):
    """The frames a reconstruction uses."""

    ALL = "all"
    TRAIN = "train"  # all but the held-out ones
    HALF_A = "half-a"  # the halves split the training frames, so held-out frames stay unseen by all
    HALF_B = "half-b"


def probe_radius(probe: NDArray[np.complexfloating]) -> float:
    """Return the radius in pixels of the disc, about the centroid of Σ_m|P_m|², that holds 90 % of it.

    Parameters
    ----------
    probe
        (m, h, w) complex.

    Raises
    ------
    DataError
        If the probe is zero everywhere.
    """
    power = (np.abs(probe) ** 2).sum(axis=0, dtype=np.float64)
    y, x = np.indices(power.shape)
    total = power.sum()
    if not total > 0:
        raise DataError(f"probe: expected light in its modes (m, h, w), found only zeros in {probe.shape}")
    distance = np.hypot(y - (y * power).sum() / total, x - (x * power).sum() / total).ravel()
    order = np.argsort(distance)
    reached = np.searchsorted(np.cumsum(power.ravel()[order]), 0.9 * total)
    return float(distance[order][min(int(reached), distance.size - 1)])


def find_held_out(scan: Scan) -> NDArray[np.int64]:
    """Return the sorted indices of the held-out frames: a fixed draw of 6.5 % of all frames.

    A frame's centre must lie within the probe's 90 % radius of at least 4 frames that are not held out.
    Frames are drawn in a seeded order, and one is passed over when it would leave itself or a neighbour drawn
    before with fewer; where overlap is sparse, fewer than 6.5 % are held out.

    Raises
    ------
    DataError
        If no frame is covered well enough.
    """
    tree = cKDTree(scan.probe_positions)
    within = tree.query_ball_point(scan.probe_positions, probe_radius(scan.probe))
    neighbours = [np.setdiff1d(near, frame) for frame, near in enumerate(within)]
    cover = np.array([near.size for near in neighbours])
    candidates = np.flatnonzero(cover >= MINIMUM_COVER)
    if candidates.size == 0:
        raise DataError(
            f"{scan.name}: expected frames covered by at least {MINIMUM_COVER} others, found at most "
            f"{int(cover.max())}; held-out scores need a scan with overlap"
        )
    count = min(max(1, round(HELD_OUT_FRACTION * scan.n_frames)), candidates.size)
    held: list[int] = []
    for frame in np.random.default_rng(HELD_OUT_SEED).permutation(candidates):
        drawn_near = np.intersect1d(neighbours[frame], np.array(held, np.int64))
        if cover[frame] < MINIMUM_COVER or (cover[drawn_near] <= MINIMUM_COVER).any():
            continue
        held.append(int(frame))
        cover[neighbours[frame]] -= 1
        if len(held) == count:
            break
    return np.sort(held).astype(np.int64)


def select_frames(scan: Scan, which: FrameSet) -> NDArray[np.int64]:
    """Return the sorted indices of a frame set.

    The halves alternate in space: the training frames are cut into ever smaller regions at their medians
    until pairs are left, and each pair gives one frame to either half.

    Raises
    ------
    ConfigError
        If there is no such set.
    DataError
        If no frame is covered well enough to be held out (`FrameSet.ALL` needs none).
    """
    which = parse_choice("frames", which, FrameSet)
    everything = np.arange(scan.n_frames, dtype=np.int64)
    if which is FrameSet.ALL:
        return everything
    train = np.setdiff1d(everything, find_held_out(scan))
    if which is FrameSet.TRAIN:
        return train
    halves = _alternate(scan.probe_positions, train)
    return np.sort(halves[0 if which is FrameSet.HALF_A else 1])


def _alternate(
    positions: NDArray[np.float64], frames: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split frames in two so that neighbours go to different halves."""
    if frames.size <= 2:
        return frames[:1], frames[1:]
    here = positions[frames]
    axis = int(np.argmax(np.ptp(here, axis=0)))
    order = frames[np.argsort(here[:, axis], kind="stable")]
    cut = 2 * ((order.size + 2) // 4)  # even, so that only the last pair of all can lack a partner
    low, high = _alternate(positions, order[:cut]), _alternate(positions, order[cut:])
    return np.concatenate((low[0], high[0])), np.concatenate((low[1], high[1]))
