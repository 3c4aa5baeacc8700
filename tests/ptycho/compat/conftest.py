"""A data set on which the tests of the published names agree."""

import numpy as np
import pytest

from ptycho.raw_data import RawData


@pytest.fixture(scope="session")
def raw() -> RawData:
    """30 frames of 8 x 12 pixels, three modes, a position-coded object that is no square."""
    rng = np.random.default_rng(11)
    y, x = np.indices((50, 90))
    return RawData.from_coords_without_pc(
        xcoords=rng.uniform(10, 70, 30),
        ycoords=rng.uniform(10, 40, 30),
        diff3d=rng.poisson(20.0, (30, 8, 12)).astype(np.uint16),
        probeGuess=rng.standard_normal((3, 8, 12)) + 1j * rng.standard_normal((3, 8, 12)),
        scan_index=rng.integers(0, 3, 30),
        objectGuess=y + 1j * x,
        bad_pixels=rng.random((8, 12)) < 0.1,
    )
