"""The solver on small scans whose object is known."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.data import Scan
from ptycho.data.simulation import Simulation, simulate
from ptycho.errors import ConfigError, DataError, ShapeError
from ptycho.metrics.gauge import fix_gauge
from ptycho.metrics.truth import compare_to_truth
from ptycho.physics import make_canvas, predict_intensity
from ptycho.solvers import Reconstruction, RPIEOptions, load_reconstruction, reconstruct, save_reconstruction
from ptycho.solvers.minibatch import Estimate, Measurement, MinibatchEngine

SMALL = Simulation(rows=7, columns=9, frame_px=32, step_px=3.0, dose=3e4, spokes=8)
OPTIONS = RPIEOptions(epochs=40, batch_frames=8, seed=3)


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulate(SMALL)


@pytest.fixture(scope="module")
def result(scan: Scan) -> Reconstruction:
    return reconstruct(scan, options=OPTIONS)


def fourier_error(scan: Scan, result: Reconstruction) -> float:
    model = predict_intensity(result.object, result.origin, result.probe, scan.probe_positions)
    misfit = (np.sqrt(scan.diffraction) - np.sqrt(model)) ** 2
    return float(misfit.sum() / scan.diffraction.sum())


def free_plane(ratio: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    """The plane of phase that takes the slope out of a ratio of objects; no data can fix it."""
    slope_y = np.angle(np.vdot(ratio[:-1], ratio[1:]))
    slope_x = np.angle(np.vdot(ratio[:, :-1], ratio[:, 1:]))
    y, x = np.indices(ratio.shape)
    return np.exp(-1j * (slope_y * y + slope_x * x))


def test_the_object_is_found(scan: Scan, result: Reconstruction) -> None:
    canvas = make_canvas(scan.probe_positions, scan.frame_shape)
    assert result.object.shape == scan.object_truth.shape == canvas.shape
    np.testing.assert_array_equal(result.origin, scan.truth_origin)
    seen = result.coverage > 0.2 * result.coverage.max()
    truth = scan.object_truth * seen
    found = result.object * seen * free_plane(result.object * truth.conj())
    scale = np.vdot(found, truth) / np.vdot(found, found)
    assert np.linalg.norm(scale * found - truth) < 0.1 * np.linalg.norm(truth)


def test_a_reconstruction_lies_where_its_truth_does() -> None:
    """A skewed scan far from the origin, h != w, three modes off the frame's middle; both in the gauge."""
    rng = np.random.default_rng(6)
    h, w = 36, 25
    y, x = np.indices((h, w)) - np.array((h // 2 - 2, w // 2 + 1))[:, None, None]
    beam = np.exp(-((y / 6) ** 2 + (x / 4.5) ** 2) / 2)
    modes = np.stack([beam * np.exp(0.02j * (y**2 + x**2)), 0.4 * beam * x / 5, 0.2j * beam * y / 6])
    modes *= np.sqrt(1e5 / np.square(np.abs(modes)).sum())
    grid = np.indices((9, 9)).reshape(2, -1).T * (4.0, 3.2) + rng.uniform(-1, 1, (81, 2))
    positions = grid @ np.array([[1.0, 0.35], [-0.25, 0.9]]) + (-40.0, 1000.3)
    canvas = make_canvas(positions, (h, w))
    grain = [scipy.ndimage.gaussian_filter(rng.standard_normal(canvas.shape), 2) for _ in range(2)]
    truth = (0.8 + 0.8 * grain[0]) * np.exp(3j * grain[1])
    scan = Scan(
        name="skewed",
        diffraction=rng.poisson(predict_intensity(truth, canvas.origin, modes, positions)).astype(np.float32),
        probe_positions=positions,
        probe=modes.astype(np.complex64),
        mask=np.ones((h, w), bool),
    )
    result = reconstruct(scan, options=RPIEOptions(epochs=15, modes=3, batch_frames=8, threads=1))
    found = fix_gauge(result.object, result.probe, result.origin, positions)
    known = fix_gauge(truth, modes, canvas.origin, positions)
    agreed = compare_to_truth(found.image, known.image)
    assert np.abs(agreed.aligned.shift).max() < 0.1  # what the origins do not say already
    assert min(agreed.amplitude_correlation, agreed.phase_correlation) > 0.9
    off = np.array([1.5, -2.0])
    moved = compare_to_truth(replace(found.image, origin=found.image.origin + off), known.image)
    np.testing.assert_allclose(moved.aligned.shift - agreed.aligned.shift, off, atol=0.05)


def test_the_misfit_nears_the_shot_noise(scan: Scan, result: Reconstruction) -> None:
    assert len(result.history) == OPTIONS.epochs
    model = predict_intensity(result.object, result.origin, result.probe, scan.probe_positions)
    noisy = np.random.default_rng(0).poisson(model)
    floor = ((np.sqrt(noisy) - np.sqrt(model)) ** 2).sum() / model.sum()
    assert 0.5 * floor < fourier_error(scan, result) < 1.5 * floor


def test_one_seed_repeats_bit_for_bit_on_any_number_of_threads(scan: Scan) -> None:
    state = np.random.get_state()[1].copy()  # noqa: NPY002 -- it is what must stay untouched
    first, second = (
        reconstruct(scan, options=RPIEOptions(epochs=2, batch_frames=8, threads=threads)) for threads in (1, 2)
    )
    np.testing.assert_array_equal(first.object, second.object)
    np.testing.assert_array_equal(first.probe, second.probe)
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_two_seeds_differ(scan: Scan) -> None:
    first, second = (reconstruct(scan, options=RPIEOptions(epochs=1, seed=seed)) for seed in (0, 1))
    assert np.abs(first.object - second.object).max() > 1e-3


def test_invalid_pixels_count_nowhere(scan: Scan) -> None:
    mask = scan.mask.copy()
    mask[14:17, 16:18] = False  # in the bright field, where a wrong 0 would be missed
    spoilt = scan.diffraction.copy()
    spoilt[:, ~mask] = 1e7
    options = RPIEOptions(epochs=10, batch_frames=8)
    clean = reconstruct(replace(scan, mask=mask), options=options)
    other = reconstruct(replace(scan, mask=mask, diffraction=spoilt), options=options)
    np.testing.assert_array_equal(clean.object, other.object)
    assert clean.history == other.history
    model = predict_intensity(clean.object, clean.origin, clean.probe, scan.probe_positions)
    assert model[:, ~mask].sum() == pytest.approx(scan.diffraction[:, ~mask].sum(), rel=0.25)


def test_only_the_chosen_frames_are_used(scan: Scan) -> None:
    frames = np.array([0, 5, 7, 20, 33])
    some = reconstruct(scan, frames, RPIEOptions(epochs=2))
    np.testing.assert_array_equal(some.frames, frames)
    np.testing.assert_array_equal(some.probe_positions, scan.probe_positions[frames])
    assert some.object.shape == scan.object_truth.shape  # on the canvas of the whole scan


@pytest.mark.parametrize("frames", [[], [0, 0, 1], [1.5], [99], np.zeros(63, bool)])
def test_frames_that_cannot_be_chosen_are_named(scan: Scan, frames: object) -> None:
    with pytest.raises(ShapeError, match="frames: expected indices from 0 to 62, each once"):
        reconstruct(scan, frames, RPIEOptions(epochs=1))  # type: ignore[arg-type]


def test_a_step_goes_down_the_gradient_of_the_misfit(scan: Scan) -> None:
    canvas = make_canvas(scan.probe_positions, scan.frame_shape)
    measured = Measurement.of_scan(scan, canvas)
    rng = np.random.default_rng(4)
    start = (1 + 0.1 * rng.standard_normal(canvas.shape)).astype(np.complex64)
    estimate = Estimate(start.copy(), scan.probe.copy())
    everything = np.arange(scan.n_frames)
    with MinibatchEngine(measured, estimate) as engine:
        misfit = engine.improve(everything, 1.0, 1.0, move_probe=False)
    power = (np.abs(scan.probe) ** 2).sum(axis=0)
    weight = measured.coverage(scan.probe).max()
    assert power.max() <= weight
    gradient = -2 * weight * (estimate.object - start)  # with α = 1 the step is the gradient over the weight

    def loss(obj: NDArray[np.complexfloating]) -> float:
        model = predict_intensity(obj, canvas.origin, scan.probe.astype(complex), scan.probe_positions)
        return float(np.sum((np.sqrt(scan.diffraction) - np.sqrt(model)) ** 2))

    assert misfit == pytest.approx(loss(start.astype(complex)), rel=1e-5)
    direction = rng.standard_normal(canvas.shape) + 1j * rng.standard_normal(canvas.shape)
    h = 1e-4
    slope = (loss(start + h * direction) - loss(start - h * direction)) / (2 * h)
    assert slope == pytest.approx(np.vdot(gradient, direction).real, rel=1e-3)


def test_the_step_decays_to_its_last_value() -> None:
    options = RPIEOptions(epochs=11, decay_from=0.4, last_step=0.1)
    steps = [options.step(epoch) for epoch in range(11)]
    assert steps[:5] == [1.0] * 5
    assert steps[-1] == pytest.approx(0.1)
    assert all(later <= earlier for earlier, later in itertools.pairwise(steps))


def test_impossible_options_are_named() -> None:
    with pytest.raises(ConfigError, match="epochs: expected a whole number >= 1, found 0"):
        RPIEOptions(epochs=0)


def test_a_reconstruction_survives_its_file(result: Reconstruction, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "reconstruction.npz"
    save_reconstruction(path, result)
    again = load_reconstruction(path)
    for name in ("object", "probe", "origin", "probe_positions", "frames", "coverage"):
        np.testing.assert_array_equal(getattr(again, name), getattr(result, name))
    assert (again.history, again.options) == (result.history, dict(result.options))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_truncated_reconstruction_is_an_error(result: Reconstruction, tmp_path: Path) -> None:
    path = tmp_path / "reconstruction.npz"
    save_reconstruction(path, result)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"reconstruction\.npz: expected a complete \.npz file"):
        load_reconstruction(path)


def test_arrays_that_do_not_belong_together_are_an_error(result: Reconstruction) -> None:
    with pytest.raises(ShapeError, match="coverage: expected"):
        replace(result, coverage=result.coverage[1:])


def test_a_seed_below_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed: expected a whole number >= 0, found -1"):
        RPIEOptions(seed=-1)


def test_a_solver_that_starts_where_another_stopped_goes_on_from_there(scan: Scan, result: Reconstruction) -> None:
    before = result.object.copy()
    further = reconstruct(scan, options=replace(OPTIONS, epochs=2), start=result)
    cold = reconstruct(scan, options=replace(OPTIONS, epochs=2))
    assert further.history[0] < 0.2 * cold.history[0]
    assert np.array_equal(result.object, before)


def test_a_start_of_another_scan_is_refused(scan: Scan, result: Reconstruction) -> None:
    with pytest.raises(ShapeError, match="start: expected an object"):
        reconstruct(scan, options=OPTIONS, start=replace(result, origin=result.origin + 1))
    with pytest.raises(ShapeError, match="start: expected a probe"):
        reconstruct(scan, options=OPTIONS, start=replace(result, probe=result.probe[:1]))
