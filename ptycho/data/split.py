"""Who may see what: held-out frames and halves for a solver, training and validation parts for a network."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ptycho.data.examples import Examples
from ptycho.data.scan import Scan
from ptycho.errors import ConfigError, DataError, ShapeError

__all__ = ["FrameSet", "find_held_out", "probe_radius", "select_frames", "split_examples", "split_strip"]

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
    DataError
        If no frame is covered well enough to be held out (`FrameSet.ALL` needs none).
    """
    everything = np.arange(scan.n_frames, dtype=np.int64)
    if which is FrameSet.ALL:
        return everything
    train = np.setdiff1d(everything, find_held_out(scan))
    if which is FrameSet.TRAIN:
        return train
    halves = _alternate(scan.probe_positions, train)
    return np.sort(halves[0 if which is FrameSet.HALF_A else 1])


def split_examples(examples: Examples, fraction: float, seed: int = 0) -> tuple[Examples, Examples]:
    """Return training and validation examples: a random draw of groups, computed by nobody yet.

    Both parts see the same frames where their groups overlap: validation shows when learning stops, not how well
    unseen frames are predicted. `split_strip` keeps frames apart.

    Parameters
    ----------
    examples
        At least two.
    fraction
        Of the examples that validate, in (0, 1); at least one and not all.
    seed
        Of the draw.

    Raises
    ------
    ConfigError
        If the fraction or the seed cannot be had.
    DataError
        If there is one example only.
    """
    if seed < 0:
        raise ConfigError(f"split: expected a seed >= 0, found {seed}")
    count = _count_validation(len(examples), fraction)
    order = np.random.default_rng(seed).permutation(len(examples))
    return examples.select(np.sort(order[count:])), examples.select(np.sort(order[:count]))


def split_strip(positions: NDArray[np.float64], fraction: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sorted indices of training and of validation frames: a strip at the end of the scan validates.

    The strip lies across the longer axis of the scan, where its coordinate is largest; frames at the same
    coordinate are parted along the other axis. Groups made within each part share no frame.

    Parameters
    ----------
    positions
        (n, 2) float64, (y, x) in pixels.
    fraction
        Of the frames that validate, in (0, 1); at least one and not all.

    Raises
    ------
    ConfigError
        If the fraction cannot be had.
    ShapeError
        If the positions are not (n, 2).
    DataError
        If there is one frame only.
    """
    if positions.ndim != 2 or positions.shape[1] != 2:
        raise ShapeError(f"positions: expected (n, 2), found {positions.shape}")
    count = _count_validation(len(positions), fraction)
    axis = int(np.argmax(np.ptp(positions, axis=0)))
    order = np.lexsort((positions[:, 1 - axis], positions[:, axis]))
    return np.sort(order[:-count]).astype(np.int64), np.sort(order[-count:]).astype(np.int64)


def _count_validation(number: int, fraction: float) -> int:
    """Return how many of a number validate: at least one, and not all."""
    if not 0 < fraction < 1:
        raise ConfigError(f"split: expected a validation fraction in (0, 1), found {fraction}")
    if number < 2:
        raise DataError(f"split: expected at least two to be parted, found {number}")
    return min(max(1, round(fraction * number)), number - 1)


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
