"""Frames that no solver saw are placed by one half of their pixels and scored on the other."""

from dataclasses import replace

import numpy as np
import pytest

from ptycho.data import FrameSet, Scan, find_held_out, select_frames
from ptycho.data.sabotage import Sabotage, sabotage_scan
from ptycho.data.simulation import Simulation, simulate
from ptycho.errors import DataError
from ptycho.figures import render_page
from ptycho.metrics.measure import Evaluation, measure
from ptycho.metrics.placing import place_held_out
from ptycho.metrics.summarise import summarise
from ptycho.reconstruction import Reconstruction
from ptycho.solvers import RPIEOptions, reconstruct

REFINE = RPIEOptions(epochs=40, batch_frames=8, threads=1, refine_positions=True)


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulate(Simulation(rows=7, columns=9, frame_px=32, step_px=3.0, dose=3e4, spokes=8, known_probe=True))


@pytest.fixture(scope="module")
def misplaced(scan: Scan) -> Scan:
    error = np.random.default_rng(1).standard_normal((scan.n_frames, 2))
    return replace(scan, probe_positions=scan.probe_positions + error - error.mean(axis=0))


@pytest.fixture(scope="module")
def truth(scan: Scan) -> Reconstruction:
    """The object and the probe themselves."""
    assert scan.object_truth is not None
    assert scan.truth_origin is not None
    return Reconstruction(
        object=scan.object_truth,
        probe=scan.probe,
        origin=scan.truth_origin,
        probe_positions=scan.probe_positions,
        frames=np.arange(scan.n_frames),
        coverage=np.ones(scan.object_truth.shape, np.float32),
    )


def judge(scan: Scan, options: RPIEOptions) -> Evaluation:
    """Reconstruct the training frames and measure the result."""
    return measure(scan, reconstruct(scan, select_frames(scan, FrameSet.TRAIN), options))


def test_a_frame_is_found_in_the_true_object(scan: Scan, truth: Reconstruction) -> None:
    inner = scan.select(np.abs(scan.probe_positions - scan.probe_positions.mean(axis=0)).max(axis=1) < 6)
    lost = replace(inner, probe_positions=inner.probe_positions + np.array([2.6, -3.1]))
    found = place_held_out(lost, truth, reach=5)
    assert np.abs(found.probe_positions - inner.probe_positions).max() < 0.25


@pytest.mark.parametrize("reach", [0.0, 0.5, 1.9, 3.3])
def test_nobody_looks_further_than_the_reach(scan: Scan, truth: Reconstruction, reach: float) -> None:
    inner = scan.select([31])
    lost = replace(inner, probe_positions=inner.probe_positions + np.array([4.0, -3.5]))
    found = place_held_out(lost, truth, reach)
    gone = np.hypot(*(found.probe_positions - lost.probe_positions)[0])
    assert 0.7 * reach <= gone <= reach


def test_a_frame_that_says_nothing_stays(scan: Scan, truth: Reconstruction) -> None:
    dark = replace(scan.select([31]), diffraction=np.zeros_like(scan.diffraction[:1]))
    found = place_held_out(dark, truth, reach=5)
    np.testing.assert_array_equal(found.probe_positions, dark.probe_positions)


def test_pixels_that_are_scored_have_no_part_in_the_place(scan: Scan, truth: Reconstruction) -> None:
    held = scan.select(find_held_out(scan))
    placed = place_held_out(held, truth, reach=2)
    assert 0.4 < placed.mask.mean() < 0.6
    spoilt = held.diffraction.copy()
    spoilt[:, placed.mask] = 1e6
    again = place_held_out(replace(held, diffraction=spoilt), truth, reach=2)
    np.testing.assert_array_equal(again.probe_positions, placed.probe_positions)
    spoilt = held.diffraction.copy()
    spoilt[:, ~placed.mask] = spoilt[::-1, ~placed.mask]
    other = place_held_out(replace(held, diffraction=spoilt), truth, reach=2)
    assert np.abs(other.probe_positions - placed.probe_positions).max() > 0.2


def test_wrong_positions_are_refused_as_they_are_and_accepted_once_refined(misplaced: Scan) -> None:
    as_given = judge(misplaced, replace(REFINE, refine_positions=False))
    refined = judge(misplaced, REFINE)
    before, after = (summarise(found).fidelity for found in (as_given, refined))
    assert before.held_out.error_over_expected > 2.3
    assert 0.9 < after.held_out.error_over_expected < 1.5
    assert 0.7 < after.train.error_over_expected < 1.3
    assert after.gain_over_mean_frame > 4.2 > before.gain_over_mean_frame
    assert as_given.moved is None
    assert refined.moved is not None


def test_each_half_finds_the_unseen_frames_in_its_own_object(misplaced: Scan) -> None:
    sets = (FrameSet.TRAIN, FrameSet.HALF_A, FrameSet.HALF_B)
    found, *halves = (reconstruct(misplaced, select_frames(misplaced, which), REFINE) for which in sets)
    half_sets = measure(misplaced, found, (halves[0], halves[1])).half_sets
    assert half_sets is not None
    assert all(fit.scores.error_over_expected < 2 for fit in half_sets.held_out)


def test_positions_that_no_solver_of_ours_gives_are_refused(misplaced: Scan) -> None:
    found = reconstruct(misplaced, select_frames(misplaced, FrameSet.TRAIN), replace(REFINE, epochs=5))
    far = found.probe_positions.copy()
    far[3, 1] += 40
    with pytest.raises(DataError, match="probe_positions: expected none further than 16 px from where"):
        measure(misplaced, replace(found, probe_positions=far))


def test_the_page_says_how_far_frames_went(misplaced: Scan) -> None:
    metrics = summarise(judge(misplaced, replace(REFINE, epochs=10)))
    assert metrics.positions is not None
    assert 0.5 < metrics.positions.moved_rms_px < 2 < metrics.positions.moved_max_px < 6
    page = render_page(metrics, ["positions"])
    assert f"went {metrics.positions.moved_rms_px:.2f} px" in page
    assert f"stretched the scan by {metrics.positions.stretch_y:+.1%} in y and" in page
    assert "(positions.png)" in page


def test_a_scan_that_is_too_small_is_found_to_be_stretched(scan: Scan) -> None:
    small = replace(scan, probe_positions=scan.probe_positions * (0.95, 1.0))
    positions = summarise(judge(small, REFINE)).positions
    assert positions is not None
    assert positions.stretch_y == pytest.approx(1 / 0.95 - 1, abs=0.02)
    assert positions.stretch_x == pytest.approx(0, abs=0.02)


def test_shuffled_positions_are_refused_however_frames_may_move(scan: Scan) -> None:
    fidelity = summarise(judge(sabotage_scan(scan, Sabotage.SHUFFLED), REFINE)).fidelity
    assert fidelity.held_out.error_over_expected > 2.3
    assert fidelity.gain_over_mean_frame < 4.2
