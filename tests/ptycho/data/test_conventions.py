"""Conventions are found by trial, on scans whose conventions were changed."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import scipy.fft

from ptycho.data import Scan
from ptycho.data.conventions import Axes, DetectorOrigin, apply_conventions, find_conventions
from ptycho.errors import DataError

FORWARD = {
    Axes.YX: lambda p: p,
    Axes.XY: lambda p: p[:, ::-1],
    Axes.FLIPPED_YX: lambda p: p * (-1, 1),
    Axes.FLIPPED_XY: lambda p: p[:, ::-1] * (1, -1),
}


def as_filed(scan: Scan, origin: DetectorOrigin, axes: Axes) -> Scan:
    """The scan as a file with other conventions would hold it."""
    diffraction = scan.diffraction
    if origin is DetectorOrigin.CORNER:
        diffraction = scipy.fft.ifftshift(diffraction, axes=(1, 2))
    return replace(scan, diffraction=diffraction, probe_positions=FORWARD[axes](scan.probe_positions).copy())


@pytest.mark.parametrize(("origin", "axes"), list(itertools.product(DetectorOrigin, Axes)))
def test_applying_conventions_undoes_them(small_scan: Scan, origin: DetectorOrigin, axes: Axes) -> None:
    filed = as_filed(small_scan, origin, axes)
    read = apply_conventions(filed, origin, axes)
    np.testing.assert_array_equal(read.diffraction, small_scan.diffraction)
    sign = 1 if np.allclose(read.probe_positions, small_scan.probe_positions) else -1
    np.testing.assert_allclose(sign * read.probe_positions, small_scan.probe_positions)  # both axes are free


@pytest.mark.parametrize(
    ("origin", "axes"),
    [
        (DetectorOrigin.CENTRE, Axes.YX),
        (DetectorOrigin.CORNER, Axes.FLIPPED_YX),
        (DetectorOrigin.CORNER, Axes.XY),
        (DetectorOrigin.CENTRE, Axes.FLIPPED_XY),
    ],
)
def test_changed_conventions_are_found(small_scan: Scan, origin: DetectorOrigin, axes: Axes) -> None:
    found = find_conventions(as_filed(small_scan, origin, axes))
    assert (found.origin, found.axes) == (origin, axes)
    assert len(found.scores) == 8
    assert "180 degrees" in str(found.describe()["assumed"])


def test_a_scan_that_does_not_tell_is_an_error(small_scan: Scan) -> None:
    mute = replace(small_scan, diffraction=np.ones_like(small_scan.diffraction))
    with pytest.raises(DataError, match="expected one clearly best convention, found centre/yx"):
        find_conventions(mute)
    with pytest.raises(DataError, match="expected at least 16 frames for trials, found 5"):
        find_conventions(small_scan.select(range(5)))
