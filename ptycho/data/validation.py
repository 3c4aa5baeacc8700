"""Which part of a scan, or of its examples, judges a training and is never learned from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ptycho.checks import check_whole
from ptycho.data.examples import Examples
from ptycho.errors import ConfigError, DataError, ShapeError

__all__ = ["split_examples", "split_strip"]


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
    seed = check_whole("split: seed", seed, 0)
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
