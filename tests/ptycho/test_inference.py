"""Inference: predictions of groups become one object in the frame of the positions, whatever the chunk."""

import resource
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from ptycho.data import Scan
from ptycho.data.examples import Examples, make_examples
from ptycho.data.groups import group_frames
from ptycho.data.normalisation import fit_normalisation
from ptycho.data.simulation import Simulation, simulate
from ptycho.errors import ConfigError, DataError, ShapeError
from ptycho.inference import infer, join_groups
from ptycho.nets import Bundle, Illumination, Specification, illuminate, specify
from ptycho.nets.layers import start_weights
from ptycho.physics import make_canvas


@pytest.fixture(scope="module")
def scan() -> Scan:
    """A small scan with a known object, its lattice skewed."""
    settings = Simulation(
        rows=7, columns=9, frame_px=24, step_px=4, dose=1e7, object="shapes", modes=1, known_probe=True
    )
    found = simulate(settings)
    return replace(found, mask=np.random.default_rng(0).random((24, 24)) > 0.05)


class Oracle:
    """Knows the object, but not the phase of any group: a network can do no better."""

    def __init__(
        self, scan: Scan, specification: Specification, illumination: Illumination, examples: Examples
    ) -> None:
        self.specification, self.illumination = specification, illumination
        self._scan, self._references, self._next = scan, examples.references, 0

    def predict(self, amplitudes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return the object about the reference points of the next groups, each turned by a phase of its own."""
        truth, origin = self._scan.object_truth, self._scan.truth_origin
        shape, objects = self.specification.canvas_shape, []
        for reference in self._references[self._next : self._next + len(offsets)]:
            room = np.pad(truth, 40)
            y, x = (reference - origin).astype(int) - np.array(shape) // 2 + 40
            phase = np.exp(1j * np.random.default_rng(int(reference @ (7, 13)) + 500).uniform(-np.pi, np.pi))
            objects.append(phase * room[y : y + shape[0], x : x + shape[1]])
        self._next += len(offsets)
        return np.array(objects)[..., None]


def prepare(scan: Scan, gridsize: int) -> tuple[Specification, Illumination, Examples]:
    normalisation = fit_normalisation(scan.diffraction, scan.mask)
    groups = group_frames(scan.probe_positions, gridsize**2, neighbours=gridsize**2 + 1)
    examples = make_examples(scan, groups, normalisation)
    specification = specify(scan.probe, examples.offsets, gridsize=gridsize, stages=1, projections=2, filters=4)
    return specification, illuminate(scan.probe, normalisation, scan.mask), examples


@pytest.mark.parametrize("gridsize", [1, 2])
def test_objects_of_unknown_phase_are_joined_where_they_lie(scan: Scan, gridsize: int) -> None:
    specification, light, examples = prepare(scan, gridsize)
    joined = join_groups(Oracle(scan, specification, light, examples), examples, chunk=10)
    corner = (joined.canvas.origin - scan.truth_origin).astype(int)
    rows, columns = joined.object.shape
    truth = scan.object_truth[corner[0] : corner[0] + rows, corner[1] : corner[1] + columns]
    seen = joined.support & (np.abs(joined.object) > 0)
    seen[: rows // 4] = seen[-rows // 4 :] = False
    seen[:, : columns // 4] = seen[:, -columns // 4 :] = False
    turned = joined.object * np.exp(-1j * np.angle((joined.object * truth.conj())[seen].sum()))
    assert seen.sum() > 500
    assert np.abs(turned - truth)[seen].max() < 1e-5
    assert np.abs(turned - np.roll(truth, 1, axis=1))[seen].mean() > 0.02


@pytest.mark.parametrize("gridsize", [1, 2])
def test_the_result_does_not_depend_on_the_chunk(scan: Scan, gridsize: int) -> None:
    specification, light, _ = prepare(scan, gridsize)
    rng = np.random.default_rng(5)
    weights = {
        name: value if value.any() else 0.05 * rng.standard_normal(value.shape).astype(np.float32)
        for name, value in start_weights(specification).items()
    }
    bundle = Bundle(specification, light, weights)
    whole = infer(bundle, scan, chunk=1000)
    for chunk in (1, 7, 32):
        part = infer(bundle, scan, chunk=chunk)
        assert np.abs(part.object - whole.object).max() <= 1e-5 * np.abs(whole.object).max()


def test_an_untrained_network_already_sees_the_object_in_the_right_place(scan: Scan) -> None:
    specification, light, _ = prepare(scan, 2)
    specification = replace(specification, stages=3, projections=8)
    result = infer(Bundle(specification, light, start_weights(specification)), scan)
    canvas = make_canvas(scan.probe_positions, scan.frame_shape)
    assert result.object.shape == canvas.shape
    assert np.array_equal(result.origin, canvas.origin)
    covered = result.coverage > 0.3 * result.coverage.max()
    corner = (result.origin - scan.truth_origin).astype(int)
    truth = scan.object_truth[corner[0] :, corner[1] :][: canvas.shape[0], : canvas.shape[1]]
    agreement = np.corrcoef(np.abs(result.object)[covered], np.abs(truth)[covered])[0, 1]
    shifted = np.corrcoef(np.abs(result.object)[covered], np.abs(np.roll(truth, 3, axis=0))[covered])[0, 1]
    assert agreement > 0.85 > shifted


def test_some_frames_give_an_object_on_the_canvas_of_all(scan: Scan) -> None:
    specification, light, _ = prepare(scan, 2)
    bundle = Bundle(specification, light, start_weights(specification))
    some = infer(bundle, scan, np.arange(20, 50))
    assert some.object.shape == infer(bundle, scan).object.shape
    assert np.array_equal(some.frames, np.arange(20, 50))
    assert (some.object == 1).any()


def test_fewer_groups_find_the_same_object_with_less_averaging(scan: Scan) -> None:
    specification, light, _ = prepare(scan, 2)
    bundle = Bundle(specification, light, start_weights(specification))
    every, sparse = infer(bundle, scan), infer(bundle, scan, sparse=True)
    assert sparse.options["groups"] < 0.7 * every.options["groups"] == 0.7 * scan.n_frames
    covered = every.coverage > 0.3 * every.coverage.max()
    agreement = np.corrcoef(np.abs(every.object)[covered], np.abs(sparse.object)[covered])[0, 1]
    assert 0.9 < agreement < 1


def test_frames_brighter_than_those_of_the_training_are_warned_of(scan: Scan) -> None:
    specification, light, _ = prepare(scan, 2)
    bundle = Bundle(specification, light, start_weights(specification))
    assert infer(bundle, scan).options["warnings"] == []
    bright = replace(scan, diffraction=3 * scan.diffraction)
    result = infer(bundle, bright)
    assert result.options["warnings"] == ["the frames are 3 times as bright as those the network was trained on"]


def test_frames_of_another_shape_are_refused(scan: Scan) -> None:
    specification, light, _ = prepare(scan, 2)
    bundle = Bundle(specification, light, start_weights(specification))
    other = simulate(Simulation(rows=3, columns=3, frame_px=20))
    with pytest.raises(ShapeError, match=r"expected frames \(24, 24\).*found \(20, 20\)"):
        infer(bundle, other)
    with pytest.raises(ConfigError, match="chunk: expected a whole number >= 1, found 0"):
        infer(bundle, scan, chunk=0)


# What a user brings


class Watched(np.ndarray):
    """Frames that note how many of them are asked for at a time."""

    asked: ClassVar[list[int]] = []

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if found.ndim >= 3:
            self.asked.append(found.size // (24 * 24))
        return found


def test_frames_stay_where_they_lie_and_are_read_as_they_are_needed(
    scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    specification, light, _ = prepare(scan, 2)
    bundle = Bundle(specification, light, start_weights(specification))
    monkeypatch.setattr("ptycho.data.rows.SLAB_PIXELS", 8 * 24 * 24)
    for frames in (None, np.arange(5, 50)):
        Watched.asked.clear()
        infer(bundle, replace(scan, diffraction=scan.diffraction.view(Watched)), frames, chunk=2)
        assert len(Watched.asked) > 20
        assert max(Watched.asked) == 8


def test_frames_are_chosen_by_indices_or_by_a_mask(scan: Scan) -> None:
    specification, light, _ = prepare(scan, 1)
    bundle = Bundle(specification, light, start_weights(specification))
    chosen = scan.probe_positions[:, 0] > 8
    masked, listed = infer(bundle, scan, chosen), infer(bundle, scan, np.flatnonzero(chosen))
    assert np.array_equal(masked.frames, np.flatnonzero(chosen))
    assert np.array_equal(masked.object, listed.object)
    with pytest.raises(ShapeError, match="frames: expected indices"):
        infer(bundle, scan, [1.5, 2.5])


def test_pixels_that_scan_or_network_do_not_believe_count_nowhere(scan: Scan) -> None:
    specification, light, _ = prepare(scan, 2)
    everything = replace(light, mask=np.ones_like(light.mask))
    weights = start_weights(specification)
    expected = infer(Bundle(specification, light, weights), scan)
    assert np.array_equal(infer(Bundle(specification, everything, weights), scan).object, expected.object)
    bad = replace(scan, mask=np.ones_like(scan.mask))
    found = infer(Bundle(specification, light, weights), bad)
    assert np.array_equal(found.object, expected.object)
    assert found.options["flux_ratio"] == expected.options["flux_ratio"] == pytest.approx(1)
    with pytest.raises(ShapeError, match=r"mask: expected \(24, 24\), that of the training, found \(3, 24\)"):
        light.restrict(scan.mask[:3])


def test_a_scan_without_light_that_both_masks_believe_is_refused_before_anything_is_predicted(scan: Scan) -> None:
    specification, light, _ = prepare(scan, 2)
    bundle = Bundle(specification, light, start_weights(specification))
    predicted: list[Any] = []
    with pytest.raises(ShapeError, match=r"mask: expected a pixel of \(24, 24\) that training and scan both believe"):
        infer(bundle, replace(scan, mask=~light.mask), report=predicted.append)
    with pytest.raises(DataError, match="expected frames with light in them"):
        infer(bundle, replace(scan, diffraction=0 * scan.diffraction), report=predicted.append)
    assert predicted == []


def test_a_canvas_between_pixels_is_refused(scan: Scan) -> None:
    specification, light, examples = prepare(scan, 1)
    canvas = make_canvas(scan.probe_positions, scan.frame_shape)
    for origin in (canvas.origin + np.array([0, 0.5]), np.array([np.inf, 0])):
        with pytest.raises(ShapeError, match="canvas: expected an origin of whole pixels, found"):
            join_groups(Oracle(scan, specification, light, examples), examples, replace(canvas, origin=origin))


def test_a_full_disk_is_told(scan: Scan) -> None:
    specification, light, _ = prepare(scan, 2)
    bundle = Bundle(specification, light, start_weights(specification))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DataError, match=r"objects: expected room .* name a larger folder in TMPDIR"):
            infer(bundle, scan)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
