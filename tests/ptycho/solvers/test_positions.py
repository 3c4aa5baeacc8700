"""Positions refined beside object and probe, on small scans whose positions are known."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.data import Scan
from ptycho.data.simulation import Simulation, simulate
from ptycho.errors import ConfigError
from ptycho.solvers import RPIEOptions, reconstruct
from ptycho.solvers.positions import ROOM_PX, Walk, find_slopes, find_step

REFINE = RPIEOptions(epochs=40, batch_frames=8, threads=1, refine_positions=True)


@pytest.fixture(scope="module")
def true() -> Scan:
    return simulate(Simulation(rows=7, columns=9, frame_px=32, step_px=3.0, dose=3e4, spokes=8))


@pytest.fixture(scope="module")
def misplaced(true: Scan) -> Scan:
    """The scan with every position wrong by 1.3 px, root mean square; their mean is right."""
    error = np.random.default_rng(1).standard_normal((true.n_frames, 2))
    return replace(true, probe_positions=true.probe_positions + error - error.mean(axis=0))


def distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Root mean square distance of positions, whatever their joint shift."""
    apart = first - second
    return float(np.sqrt(np.square(apart - apart.mean(axis=0)).sum(axis=1).mean()))


def test_a_step_is_the_displacement_that_explains_a_small_correction() -> None:
    rng = np.random.default_rng(2)
    grain = scipy.ndimage.gaussian_filter(rng.standard_normal((2, 36, 30)), (0, 3, 3), mode="wrap")
    obj = (1 + grain[0] + 1j * grain[1]).astype(np.complex64)
    probe = (rng.standard_normal((2, 36, 30)) + 1j * rng.standard_normal((2, 36, 30))).astype(np.complex64)
    displaced = scipy.ndimage.fourier_shift(np.fft.fft2(obj), (-0.2, 0.1))
    correction = probe * (np.fft.ifft2(displaced) - obj)
    pull = (probe.conj() * correction).sum(axis=0).astype(np.complex64)
    power = np.square(np.abs(probe)).sum(axis=0)
    np.testing.assert_allclose(find_step(pull, power, find_slopes(obj)), (0.2, -0.1), atol=0.02)


def test_an_object_without_slopes_moves_no_frame() -> None:
    empty = np.ones((8, 9), np.complex64)
    np.testing.assert_array_equal(find_step(empty, empty.real, find_slopes(empty)), 0)


def test_frames_walk_to_where_they_were(true: Scan, misplaced: Scan) -> None:
    found = reconstruct(misplaced, options=REFINE)
    assert distance(misplaced.probe_positions, true.probe_positions) > 1.2
    assert distance(found.probe_positions, true.probe_positions) < 0.2
    left = reconstruct(misplaced, options=replace(REFINE, refine_positions=False))
    np.testing.assert_array_equal(left.probe_positions, misplaced.probe_positions)
    assert found.history[-1] < 0.5 * left.history[-1]
    assert found.options["refine_positions"] is True


def test_right_positions_stay(true: Scan) -> None:
    found = reconstruct(true, options=REFINE)
    assert distance(found.probe_positions, true.probe_positions) < 0.15


def test_a_walk_keeps_the_mean() -> None:
    rng = np.random.default_rng(3)
    given = rng.uniform(0, 50, (40, 2))
    walk = Walk(given)
    for _ in range(5):
        moved = walk.advance(rng.uniform(-0.1, 0.4, (40, 2))) - given
        assert np.abs(moved.mean(axis=0)).max() < 1e-12
        assert np.abs(moved).max() > 0.05


def test_a_walk_does_not_leave_its_room() -> None:
    walk = Walk(np.zeros((40, 2)))
    for _ in range(20):
        moved = walk.advance(np.where(np.arange(40) % 2, 30.0, -30.0)[:, None] * np.ones(2))
    assert np.abs(moved).max() == pytest.approx(ROOM_PX)


def test_the_result_does_not_depend_on_the_number_of_threads(misplaced: Scan) -> None:
    short = replace(REFINE, epochs=6)
    first, second = (reconstruct(misplaced, options=replace(short, threads=threads)) for threads in (1, 2))
    np.testing.assert_array_equal(first.probe_positions, second.probe_positions)
    np.testing.assert_array_equal(first.object, second.object)
    assert distance(first.probe_positions, misplaced.probe_positions) > 0.1


def test_a_start_beside_refinement_is_refused(true: Scan) -> None:
    start = reconstruct(true, options=RPIEOptions(epochs=1, threads=1))
    with pytest.raises(ConfigError, match="refine_positions: expected no start"):
        reconstruct(true, options=REFINE, start=start)
