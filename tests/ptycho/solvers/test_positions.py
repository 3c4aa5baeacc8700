"""Positions refined beside object and probe, on small scans whose positions are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.data import Scan
from ptycho.data.simulation import Simulation, simulate
from ptycho.errors import ConfigError, ShapeError
from ptycho.reconstruction import ROOM_PX, load_reconstruction, save_reconstruction
from ptycho.solvers import RPIEOptions, reconstruct
from ptycho.solvers.positions import Walk, find_slopes, find_step

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
    light = np.ones(power.shape, np.float32)
    np.testing.assert_allclose(find_step(pull, power, find_slopes(obj), light), (0.2, -0.1), atol=0.02)
    half = light.copy()
    half[:18] = 0
    spoilt = np.where(half, pull, 1e3)
    np.testing.assert_allclose(find_step(spoilt, power, find_slopes(obj), half), (0.2, -0.1), atol=0.03)


def test_an_object_without_slopes_moves_no_frame() -> None:
    empty = np.ones((8, 9), np.complex64)
    np.testing.assert_array_equal(find_step(empty, empty.real, find_slopes(empty), empty.real), 0)


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
    assert distance(found.probe_positions, true.probe_positions) < 0.12


def test_a_scan_does_not_shrink_while_its_border_takes_shape() -> None:
    scan = simulate(Simulation(rows=14, columns=14, frame_px=32, step_px=3.0, dose=3e4, spokes=8))
    found = reconstruct(scan, options=replace(REFINE, epochs=25, batch_frames=16))
    moved = found.probe_positions - scan.probe_positions
    middle = scan.probe_positions - scan.probe_positions.mean(axis=0)
    stretch = (moved * middle).sum(axis=0) / np.square(middle).sum(axis=0)
    assert np.abs(stretch).max() < 0.008
    assert distance(found.probe_positions, scan.probe_positions) < 0.2


def test_a_dark_frame_stays_and_moves_nobody(misplaced: Scan, true: Scan) -> None:
    frames = misplaced.diffraction.copy()
    frames[31] = 0
    found = reconstruct(replace(misplaced, diffraction=frames), options=REFINE)
    moved = found.probe_positions - misplaced.probe_positions
    others = np.arange(true.n_frames) != 31
    assert np.hypot(*moved[31]) < 1  # what the others' mean takes with it
    assert distance(found.probe_positions[others], true.probe_positions[others]) < 0.2


def test_what_is_hidden_moves_nobody(misplaced: Scan, true: Scan) -> None:
    mask = np.random.default_rng(4).random(true.mask.shape) < 0.9
    hot = replace(misplaced, mask=mask, diffraction=np.where(mask, misplaced.diffraction, np.float32(1e5)))
    found, other = (reconstruct(scan, options=REFINE) for scan in (hot, replace(misplaced, mask=mask)))
    np.testing.assert_array_equal(found.probe_positions, other.probe_positions)
    assert distance(found.probe_positions, true.probe_positions) < 0.25


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


def test_too_few_epochs_to_move_in_are_refused() -> None:
    with pytest.raises(ConfigError, match="solver: epochs: expected at least 5 where positions are refined, found 4"):
        RPIEOptions(epochs=4, refine_positions=True)


def test_five_epochs_move_frames(misplaced: Scan) -> None:
    found = reconstruct(misplaced, options=replace(REFINE, epochs=5))
    assert distance(found.probe_positions, misplaced.probe_positions) > 0.1


@pytest.mark.parametrize("value", ["false", None, 1, np.ones(2)], ids=repr)
def test_whether_to_refine_is_true_or_false(value: object) -> None:
    with pytest.raises(ConfigError, match="solver: refine_positions: expected True or False, found "):
        RPIEOptions(refine_positions=value)  # type: ignore[arg-type]


def test_numbers_of_numpy_survive_the_file(true: Scan, tmp_path: Path) -> None:
    options = RPIEOptions(epochs=np.int64(1), seed=np.uint8(3), alpha=np.float32(0.5), threads=1)  # type: ignore[arg-type]
    save_reconstruction(tmp_path / "found.npz", reconstruct(true, options=options))
    kept = load_reconstruction(tmp_path / "found.npz").options
    assert (kept["epochs"], kept["seed"], kept["alpha"]) == (1, 3, 0.5)


def test_frames_without_light_are_refused(true: Scan) -> None:
    dark = replace(true, diffraction=np.zeros_like(true.diffraction))
    with pytest.raises(ShapeError, match=r"diffraction: expected light, found only zeros in \(63, 32, 32\)"):
        reconstruct(dark, options=RPIEOptions(epochs=1, threads=1))
