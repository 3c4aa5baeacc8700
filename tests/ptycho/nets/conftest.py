"""Small cases for networks: offsets of scattered groups, and an astigmatic beam on frames that are not square."""

from collections.abc import Callable

import numpy as np
import pytest

from ptycho.data.examples import find_references
from ptycho.data.groups import group_frames


def _make_offsets(gridsize: int, seed: int = 0) -> np.ndarray:
    positions = np.random.default_rng(seed).uniform(0, 60, (80, 2))
    groups = group_frames(positions, max(4, gridsize**2), neighbours=10)
    places = positions[groups.members]
    return places - find_references(places)


def _make_probe(shape: tuple[int, int] = (21, 34), modes: int = 2) -> np.ndarray:
    y, x = (np.arange(size) - size // 2 for size in shape)
    beam = np.exp(-(y[:, None] ** 2 / 18 + x**2 / 40)) * np.exp(0.02j * (y[:, None] ** 2 + x**2))
    return np.stack([beam * (y[:, None] / 9) ** mode for mode in range(modes)])


@pytest.fixture
def make_offsets() -> Callable[..., np.ndarray]:
    """Return offsets (B, C, 2) of groups for a gridsize."""
    return _make_offsets


@pytest.fixture
def make_probe() -> Callable[..., np.ndarray]:
    """Return a beam (m, h, w)."""
    return _make_probe
