"""Published models on real groups: what they learn from, what they predict in chunks, and where it lies."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ptycho import params
from ptycho.compat.inference import reconstruct
from ptycho.compat.samples import make_group_examples, make_training_examples
from ptycho.config.config import ModelConfig, TrainingConfig
from ptycho.data import Scan
from ptycho.data.examples import make_examples
from ptycho.data.groups import Groups
from ptycho.data.normalisation import Normalisation, fit_normalisation
from ptycho.data.samples import cut_patches
from ptycho.data.simulation import Simulation, simulate
from ptycho.errors import ConfigError, DataError, ShapeError
from ptycho.loader import PtychoDataContainer, load
from ptycho.model import PtychoModel, create_model_with_gridsize, train
from ptycho.nets import TrainingLoss, build_network
from ptycho.physics.groups import read_offsets
from ptycho.probe import set_probe_guess
from ptycho.raw_data import RawData

SMALL = {"n_filters_scale": 1, "framework": "torch"}


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Put the published settings back."""
    with params.override():
        yield


@pytest.fixture(scope="module")
def scan() -> Scan:
    """63 frames of 20 pixels with a known object, some pixels not to be believed."""
    settings = Simulation(
        rows=7, columns=9, frame_px=20, step_px=3, dose=1e6, object="shapes", modes=1, known_probe=True
    )
    found = simulate(settings)
    return replace(found, mask=np.random.default_rng(0).random((20, 20)) > 0.02)


def group(raw: RawData, gridsize: int, **options: Any) -> PtychoDataContainer:
    size = raw.frame_shape[1]
    grouped = raw.generate_grouped_data(size, **{"nsamples": None, "gridsize": gridsize, "K": 5, **options})
    return load(lambda: grouped, raw.probeGuess, framework="torch")


def learn(container: PtychoDataContainer, gridsize: int, epochs: int = 1, **fields: Any) -> PtychoModel:
    size = container._X_np.shape[2]
    return train(epochs, container, create_model_with_gridsize(gridsize, size, **SMALL, **fields)).model


# What is learned from


@pytest.mark.parametrize("gridsize", [2, 3])
def test_groups_of_a_container_are_those_of_the_scan(scan: Scan, gridsize: int) -> None:
    raw = RawData.from_scan(scan)
    container = group(raw, gridsize, K=10)
    normalisation = fit_normalisation(scan.diffraction, scan.mask)
    known = make_examples(scan, Groups(container._nn_indices_np, raw.probe_positions), normalisation)
    for found in (
        make_group_examples(container, normalisation),
        make_training_examples(container, normalisation, "pinn"),
    ):
        np.testing.assert_allclose(found.positions, known.positions, atol=1e-12)
        np.testing.assert_allclose(np.asarray(found.amplitudes), np.asarray(known.amplitudes), rtol=1e-6)
    assert container[5:].mask is raw.mask
    assert container[5:].kind is raw.kind


def test_single_frames_learn_together_with_their_neighbours(scan: Scan) -> None:
    raw = RawData.from_scan(scan)
    container = group(raw, 1, nsamples=150)  # every frame twice or more: no frame is its own neighbour
    found = make_training_examples(container, container.normalisation, "pinn", seed=3)
    assert found.amplitudes.shape == (63, 20, 20, 4)
    steps = np.linalg.norm(found.positions - found.positions[:, :1], axis=2)
    assert steps[:, 1:].min() > 0
    assert steps.max() < 4 * 3
    frames = np.sqrt(np.where(raw.mask, raw.diff3d, 0))
    for example in (0, 17, 62):
        for channel in range(4):
            frame = np.linalg.norm(raw.probe_positions - found.positions[example, channel], axis=1).argmin()
            np.testing.assert_allclose(
                found.amplitudes[example][..., channel], container.normalisation.scale * frames[frame], rtol=1e-5
            )


@pytest.mark.parametrize("gridsize", [1, 2])
def test_labels_lie_on_the_pixels_of_the_groups_objects(scan: Scan, gridsize: int) -> None:
    raw = RawData.from_scan(scan)
    container = group(raw, gridsize)
    found = make_training_examples(container, container.normalisation, "supervised")
    groups = Groups(container._nn_indices_np, scan.probe_positions)
    truth = np.asarray(make_examples(scan, groups, container.normalisation, labels=True).targets)
    labels = np.asarray(found.targets)
    inner = (slice(None), slice(5, 15), slice(5, 15))
    error = np.abs(labels - truth)[inner].mean()
    assert error < 0.04
    for wrong in (np.roll(labels, 1, 1), np.roll(labels, 1, 2), labels[:, ::-1], labels.conj()):
        assert np.abs(wrong - truth)[inner].mean() > 2.5 * error


def test_what_is_normalised_is_rescaled_and_not_normalised_again(scan: Scan) -> None:
    raw = RawData.from_scan(scan)
    normalisation = Normalisation(1e6, raw.frame_shape)
    own, given = (group(raw, 2, normalisation=one) for one in (None, normalisation))
    bare = PtychoDataContainer(
        own._X_np[:] * own.normalisation.intensity_scale, local_offsets=own._local_offsets_np, framework="numpy"
    )
    for container in (own, given, bare):
        found = make_training_examples(container, normalisation, "pinn")
        np.testing.assert_allclose(np.asarray(found.amplitudes), given._X_np[:], rtol=2e-6)


def test_what_is_missing_is_named(raw: RawData) -> None:
    frames = np.random.default_rng(0).random((12, 8, 12, 4))
    probe = raw.probeGuess
    with pytest.raises(DataError, match=r"local_offsets: expected \(12, 1, 2, 4\) .* found none"):
        train(1, PtychoDataContainer(frames, probeGuess=probe))
    with pytest.raises(DataError, match="global_offsets: expected the centres"):
        train(1, PtychoDataContainer(frames[..., :1], probeGuess=probe))
    with pytest.raises(DataError, match=r"gridsize² frames in a group, found \(12, 8, 12, 3\)"):
        train(1, PtychoDataContainer(frames[..., :3], probeGuess=probe))
    with pytest.raises(DataError, match="probe: expected one in the container, found none"):
        train(1, PtychoDataContainer(frames[..., :1]))
    blind = RawData.from_coords_without_pc(raw.xcoords, raw.ycoords, raw.diff3d, probe)
    with pytest.raises(DataError, match="Y_I, Y_phi: expected labels"):
        learn(group(blind, 1), 1, model_type="supervised")
    with pytest.raises(ConfigError, match=r"expected N = 12 and gridsize = 2 .* found 12 and 1"):
        train(1, group(raw, 2), create_model_with_gridsize(1, 12, **SMALL))
    with pytest.raises(ConfigError, match="call train first"):
        create_model_with_gridsize(1, 12, **SMALL).predict(frames[..., :1])


# What is predicted


@pytest.mark.parametrize(("kind", "gridsize"), [("pinn", 1), ("supervised", 2)])
def test_predictions_do_not_depend_on_the_chunk(raw: RawData, kind: str, gridsize: int) -> None:
    container = group(raw, gridsize)
    model = learn(container, gridsize, model_type=kind)
    scale = params.get("intensity_scale")
    assert scale == model.intensity_scale == container.normalisation.intensity_scale
    whole = model.predict([container.X * scale, container.local_offsets])
    assert whole.shape[0] == len(container)
    assert np.abs(whole - 1).max() > 0.01
    for size in (1, 11):
        chunked = model.predict([container._X_np[:] * scale, container._local_offsets_np], batch_size=size)
        assert np.abs(chunked - whole).max() <= 1e-5 * np.abs(whole).max()
        slices = [container[start : start + size] for start in range(0, len(container), size)]
        parts = [model.predict([part._X_np[:] * scale, part._local_offsets_np]) for part in slices]
        assert np.abs(np.concatenate(parts) - whole).max() <= 1e-5 * np.abs(whole).max()


def test_groups_that_reach_further_than_those_of_the_training_are_predicted_too(raw: RawData) -> None:
    near, far = group(raw, 2, K=3), group(raw, 2, K=20)
    model = learn(near, 2)
    canvas = model.require_bundle().specification.canvas_shape
    inputs = far._X_np[:] * model.intensity_scale, far._local_offsets_np
    reach = np.abs(far._local_offsets_np).max(axis=(1, 3))
    assert (reach > (np.array(canvas)[::-1] - (12, 8)) / 2 + 1).any()
    whole = model.predict(inputs)
    assert whole.shape == (30, *canvas, 1)
    (height, width), furthest = canvas, int(reach.sum(axis=1).argmax())
    offsets = read_offsets(far._local_offsets_np)[[furthest]]
    bundle = model.require_bundle()
    roomy = build_network(bundle.specification.holding(offsets), bundle.illumination, bundle.weights)
    larger = roomy.predict(far.normalised()._X_np[[furthest]], offsets)[0]
    y, x = np.array(larger.shape[:2]) // 2
    middle = larger[y - height // 2 : y + height // 2, x - width // 2 : x + width // 2]
    assert np.abs(whole[furthest] - middle).max() <= 1e-5
    alone = np.concatenate([model.predict([part[[i]] for part in inputs]) for i in range(30)])
    assert np.abs(alone - whole).max() <= 1e-5 * np.abs(whole).max()
    train(1, far, model)
    assert model.require_bundle().specification.canvas_shape > canvas


@pytest.mark.parametrize("gridsize", [1, 2])
def test_predicted_objects_lie_about_the_centres_of_their_groups(scan: Scan, gridsize: int) -> None:
    raw = RawData.from_scan(scan)
    container = group(raw, gridsize)
    model = learn(container, gridsize)
    objects = model.predict([container._X_np[:] * model.intensity_scale, container._local_offsets_np])[..., 0]
    (top, left), shape = (np.array(objects.shape[1:]) // 2 - 6), (12, 12)
    centres = container._global_offsets_np[:, 0, ::-1, 0]  # published as [x, y]
    inside = (np.abs(centres - centres.mean(axis=0)) < (7, 10)).all(axis=1)
    found = objects[inside, top : top + 12, left : left + 12]

    def differ(move: tuple[float, float]) -> float:
        """The share of the known object that is not found, each group turned to its phase."""
        truth = cut_patches(raw.objectGuess, np.zeros(2), centres[inside] + move, shape)
        turned = found * np.exp(1j * np.angle((found.conj() * truth).sum(axis=(1, 2), keepdims=True)))
        factor = np.vdot(turned, truth).real / np.linalg.norm(turned) ** 2
        return float(np.linalg.norm(truth - factor * turned) / np.linalg.norm(truth))

    moved = [differ(move) for move in ((2, 0), (-2, 0), (0, 2), (0, -2))]
    assert differ((0, 0)) < min(0.15, *moved)


def test_pixels_that_only_the_new_scan_does_not_believe_count_nowhere(scan: Scan) -> None:
    raw = RawData.from_scan(scan)
    model = learn(group(raw, 2), 2)
    bundle = model.require_bundle()
    everything = replace(bundle.illumination, mask=np.ones_like(scan.mask))
    other = PtychoModel.from_bundle(replace(bundle, illumination=everything), framework="torch")
    np.testing.assert_array_equal(reconstruct(other, raw), reconstruct(model, raw))


def test_inputs_that_do_not_fit_are_refused(raw: RawData) -> None:
    model = learn(group(raw, 1), 1)
    frames = np.ones((3, 8, 12, 1))
    assert model.predict(frames).shape == model.predict([frames]).shape == (3, 8, 12, 1)
    with pytest.raises(ShapeError, match=r"expected \[amplitudes"):
        model.predict(frames[0])
    with pytest.raises(ShapeError, match=r"amplitudes: expected shape \(3, 8, 12, 1\), found \(3, 12, 8, 1\)"):
        model.predict(frames.swapaxes(1, 2))
    for size in (0, 1.5):
        with pytest.raises(ConfigError, match=f"batch_size: expected a whole number >= 1, found {size}"):
            model.predict(frames, batch_size=size)
    with pytest.raises(ShapeError, match=r"local_offsets: expected shape \(3, 1, 2, 1\), found \(2, 1, 2, 1\)"):
        model.predict([frames, np.zeros((2, 1, 2, 1))])


def test_amplitudes_that_nobody_can_have_measured_are_refused_unless_they_are_masked(raw: RawData) -> None:
    model = learn(group(raw, 1), 1)
    frames = np.sqrt(raw.diff3d[:3, ..., None] * raw.mask[..., None])
    mask = raw.mask.copy()
    mask[4, 5] = False
    expected = model.predict(frames, mask=mask)
    assert np.abs(expected - model.predict(frames)).max() > 1e-3
    for value in (np.nan, np.inf, -1.0, 1e4):
        spoilt = frames.copy()
        spoilt[1, 4, 5] = value
        np.testing.assert_array_equal(model.predict(spoilt, mask=mask), expected)
        if value != 1e4:
            with pytest.raises(DataError, match=r"amplitudes: expected finite values >= 0 on the valid pixels"):
                model.predict(spoilt)


# Training


def test_a_training_returns_its_history_and_can_go_on(scan: Scan) -> None:
    container = group(RawData.from_scan(scan), 1)
    config = TrainingConfig(ModelConfig(N=20, n_filters_scale=1), mae_weight=1.0, nll_weight=0.0, batch_size=8)
    first = train(3, container, config=config)
    assert first.model.framework == "torch"
    assert set(first.history) == {"loss", "val_loss", "lr"}
    assert first.epoch == [0, 1, 2]
    assert first.history["loss"][2] < first.history["loss"][0]
    before = first.model.require_bundle()
    inputs = container._X_np[:5] * first.model.intensity_scale
    found = first.model.predict(inputs)
    further = train(1, container, first.model, config=config)
    after = first.model.require_bundle()
    assert further.model is first.model
    assert after.illumination is before.illumination
    assert (first.model.predict(inputs) != found).any()
    assert any((after.weights[name] != before.weights[name]).any() for name in before.weights)
    assert further.history["loss"][0] < first.history["loss"][0]


def test_requests_that_cannot_be_had_are_named(raw: RawData) -> None:
    container = group(raw, 1)
    for seed in (-1, 1.5):
        with pytest.raises(ConfigError, match=f"seed: expected a whole number >= 0, found {seed}"):
            train(1, container, seed=seed)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="trainset: expected a PtychoDataContainer, found RawData"):
        train(1, raw)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="framework: expected one of torch, tensorflow, found 'jax'"):
        create_model_with_gridsize(1, 8, framework="jax")


def test_a_container_without_a_probe_takes_the_one_that_was_set(raw: RawData) -> None:
    container = group(raw, 1)
    probe, container.probe = container.probe, None
    set_probe_guess(None, probe)
    model = learn(container, 1)
    light = model.require_bundle().illumination
    np.testing.assert_allclose(np.angle(light.probe), np.angle(probe))
    np.testing.assert_array_equal(light.mask, raw.mask)
    with pytest.raises(ShapeError, match=r"probe_guess: expected finite numbers"):
        set_probe_guess(None, np.full((8, 12), np.nan))
    with pytest.raises(ShapeError, match=r"probe_guess: expected light, found only zeros in \(8, 12\)"):
        set_probe_guess(None, np.zeros((8, 12)))


def test_amplitudes_are_not_taken_for_counts(scan: Scan) -> None:
    raw = RawData.from_scan(scan)
    other = RawData.from_coords_without_pc(
        raw.xcoords, raw.ycoords, np.sqrt(raw.diff3d), raw.probeGuess, kind="amplitude"
    )
    losses = [learn(group(data, 1), 1).require_bundle().specification.loss for data in (raw, other)]
    assert losses == [TrainingLoss.POISSON, TrainingLoss.AMPLITUDE]
