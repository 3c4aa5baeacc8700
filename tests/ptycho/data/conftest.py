"""Small scans on which the data tests agree."""

import pytest

from ptycho.data import Scan
from ptycho.data.simulation import Simulation, simulate


@pytest.fixture(scope="session")
def small_scan() -> Scan:
    """A star of 63 frames of 32 x 32 pixels with 100 000 photons each."""
    return simulate(Simulation(rows=7, columns=9, frame_px=32, step_px=3.0, dose=1e5, spokes=8))
