"""One network in two frameworks: what it predicts, what it loses and how it learns are the same."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from ptycho.archive import load_arrays, save_arrays
from ptycho.data.examples import Batch
from ptycho.data.normalisation import Normalisation
from ptycho.errors import ConfigError, DataError, ShapeError
from ptycho.nets import (
    Bundle,
    Illumination,
    Network,
    Specification,
    build_network,
    illuminate,
    load_bundle,
    save_bundle,
    specify,
)
from ptycho.nets.layers import Weights, start_weights
from ptycho.physics.consistency import light_groups, predict_groups
from ptycho.physics.groups import sample_groups

FRAMEWORKS = ("torch", "tensorflow")
LIMITS = {"float32": 1e-4, "float64": 1e-12}  # of a prediction, relative to its maximum; 1e-9 would let float32 slip in
LOSS_LIMITS = {"float32": 1e-5, "float64": 1e-12}
DOSE = 1e5
ROOT = Path(__file__).parents[3]

frameworks = pytest.mark.parametrize("framework", FRAMEWORKS)
precisions = pytest.mark.parametrize("precision", LIMITS)
gridsizes = pytest.mark.parametrize("gridsize", [1, 2])
tasks = pytest.mark.parametrize("task", ["amplitude", "poisson", "supervised"])


class Case(NamedTuple):
    """A network with weights that correct something, and examples of simulated frames."""

    specification: Specification
    illumination: Illumination
    weights: Weights
    batch: Batch

    def build(self, framework: str, precision: str = "float64") -> Network:
        return build_network(
            self.specification, self.illumination, self.weights, framework=framework, device="cpu", precision=precision
        )

    @property
    def groups(self) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
        """What the network predicts from: at gridsize 1 the first frame of each example, in its own place."""
        c = self.specification.group_size
        offsets = self.batch.offsets[:, :c]
        return self.batch.amplitudes[..., :c], offsets - np.floor(offsets + 0.5) if c == 1 else offsets


def make_case(
    gridsize: int = 2,
    task: str = "amplitude",
    *,
    frame_shape: tuple[int, int] = (21, 26),
    groups: int = 3,
    stages: int = 2,
    scatter: float = 0.1,
) -> Case:
    """Frames neither square nor all valid, of an object under three complex modes, at offsets between pixels."""
    rng = np.random.default_rng(7)
    h, w = frame_shape
    y, x = np.indices(frame_shape) - np.reshape((h // 2, w // 2), (2, 1, 1))
    noise = rng.standard_normal((3, h, w)) + 1j * rng.standard_normal((3, h, w))
    envelope = np.exp(-((y / (0.3 * h)) ** 2) - (x / (0.2 * w)) ** 2 + 0.02j * (y**2 + 2 * x**2))
    probe = (1 + 0.4 * noise) * envelope * np.array([1, 0.5, 0.3])[:, None, None]
    mask = rng.random(frame_shape) > 0.1
    offsets = rng.uniform((-2, -4), (3, 4), (groups, 4, 2))
    kind = "supervised" if task == "supervised" else "pinn"
    loss = "poisson" if task == "poisson" else "amplitude"
    specification = specify(
        probe, offsets, kind=kind, gridsize=gridsize, loss=loss, stages=stages, projections=2, filters=4
    )
    illumination = illuminate(probe, Normalisation(DOSE, frame_shape), mask)
    shape = (groups, *specification.merged_shape, 1)
    objects = rng.uniform(0.4, 1, shape) * np.exp(1j * rng.uniform(-0.6, 0.6, shape))
    waves, whole = light_groups(illumination.probe, offsets)
    scale = illumination.normalisation.scale
    counts = rng.poisson(predict_groups(objects, whole, waves, mask=mask) / scale**2)
    targets = sample_groups(objects, whole, frame_shape) if kind == "supervised" else None
    weights = start_weights(specification, seed=3)
    for name in weights:
        if ".last." in name:
            weights[name] = (scatter * rng.standard_normal(weights[name].shape)).astype(np.float32)
    return Case(specification, illumination, weights, Batch(scale * np.sqrt(counts), offsets, targets))


@pytest.fixture(params=["eager", pytest.param("compiled", marks=pytest.mark.slow)])
def mode(request: pytest.FixtureRequest) -> Iterator[str]:
    """Whether TensorFlow makes graphs of what it runs."""
    import tensorflow as tf  # noqa: PLC0415 -- a framework is imported where it is used

    tf.config.run_functions_eagerly(request.param == "eager")
    yield request.param
    tf.config.run_functions_eagerly(False)


def assert_close(found: NDArray[Any], expected: NDArray[Any], limit: float) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert np.abs(found - expected).max() <= limit * np.abs(expected).max()


# The same function


@pytest.mark.usefixtures("mode")
@precisions
@gridsizes
def test_predictions_are_the_same(gridsize: int, precision: str) -> None:
    case = make_case(gridsize)
    one, other = (case.build(framework, precision).predict(*case.groups) for framework in FRAMEWORKS)
    assert one.shape == (3, *case.specification.canvas_shape, 1)
    assert_close(other, one, LIMITS[precision])
    untrained = case._replace(weights=start_weights(case.specification)).build("torch", precision)
    assert np.abs(untrained.predict(*case.groups) - one).max() > 0.01  # the convolutions had their say


def test_groups_that_fill_more_than_one_slab_are_predicted_as_each_alone() -> None:
    case = make_case(frame_shape=(60, 64), stages=1)  # 0.7 MB of waves a group, 2 in a slab
    amplitudes, offsets = case.groups
    network = case.build("torch")
    alone = [network.predict(amplitudes[i : i + 1], offsets[i : i + 1]) for i in range(3)]
    slabs: list[int] = []
    network.module.register_forward_hook(lambda module, taken, given: slabs.append(len(given)))
    assert_close(network.predict(amplitudes, offsets), np.concatenate(alone), 1e-12)
    assert slabs == [2, 1]


@pytest.mark.usefixtures("mode")
@precisions
@gridsizes
@tasks
def test_losses_are_the_same(task: str, gridsize: int, precision: str) -> None:
    case = make_case(gridsize, task)
    one, other = (case.build(framework, precision).loss(case.batch) for framework in FRAMEWORKS)
    assert one > 0
    assert other == pytest.approx(one, rel=LOSS_LIMITS[precision])


@pytest.mark.slow
@precisions
@pytest.mark.parametrize("frame_shape", [(16, 16), (24, 17), (15, 32)], ids=str)
def test_any_frame_shape_and_batch_size_give_the_same(frame_shape: tuple[int, int], precision: str) -> None:
    case = make_case(frame_shape=frame_shape, groups=7)
    networks = [case.build(framework, precision) for framework in FRAMEWORKS]
    amplitudes, offsets = case.groups
    whole = networks[0].predict(amplitudes, offsets)
    for size in (1, 3, 7):
        for network in networks:
            assert_close(network.predict(amplitudes[:size], offsets[:size]), whole[:size], LIMITS[precision])


# The same steps


@pytest.mark.slow
@gridsizes
@tasks
def test_steps_lead_to_the_same_weights(task: str, gridsize: int) -> None:
    case = make_case(gridsize, task)
    networks = [case.build(framework) for framework in FRAMEWORKS]
    for _ in range(4):
        losses = [network.step(case.batch, 1e-2) for network in networks]
        assert losses[1] == pytest.approx(losses[0], rel=1e-7)
        one, other = (network.weights() for network in networks)
        for name, value in one.items():
            assert np.abs(other[name] - value).max() <= 1e-7, name
    assert max(np.abs(one[name] - case.weights[name]).max() for name in one) > 1e-2


@pytest.mark.slow
def test_a_large_gradient_is_scaled_down_alike() -> None:
    """A first step does not see the gradient's size; a second, with another one, does."""
    case = make_case(task="poisson", scatter=3.0)
    networks = [case.build(framework) for framework in FRAMEWORKS]
    small = replace(case.batch, amplitudes=0.7 * case.batch.amplitudes)
    for batch in (case.batch, small):
        for network in networks:
            network.step(batch, 1e-3)
    one, other = (network.state() for network in networks)
    assert set(one) == set(other)
    norm = np.sqrt(sum((value**2).sum() for name, value in one.items() if name.startswith("exp_avg/")))
    assert 0.1 < norm <= 0.19 + 1e-9  # 0.1 · 0.9 + 0.1 where both were clipped to 1 and agree
    for name, value in one.items():
        assert other[name].shape == value.shape
        np.testing.assert_allclose(other[name], value, atol=1e-9, err_msg=name)


@pytest.mark.slow
@frameworks
def test_sixteen_examples_of_gridsize_two_make_a_step(framework: str) -> None:
    case = make_case(groups=16)
    network = case.build(framework, "float32")
    first = network.step(case.batch, 1e-2)
    for _ in range(5):
        last = network.step(case.batch, 1e-2)
    assert last < first
    assert all(np.isfinite(value).all() for value in network.weights().values())


@pytest.mark.slow
@frameworks
@gridsizes
@tasks
def test_the_gradient_is_the_slope_of_the_loss(task: str, gridsize: int, framework: str) -> None:
    """Adam's first mean is a tenth of the gradient, where this is too small to be scaled down."""
    case = make_case(gridsize, task, stages=1)
    network = case.build(framework)
    start = network.state()
    network.step(case.batch, 0.0)
    means = {name.removeprefix("exp_avg/"): v for name, v in network.state().items() if name.startswith("exp_avg/")}
    assert np.sqrt(sum((10 * mean**2).sum() for mean in means.values())) < 1
    for name, mean in means.items():
        place = np.unravel_index(np.abs(mean).argmax(), mean.shape)
        losses = []
        for shift in (1e-4, -1e-4):
            moved = start[f"weights/{name}"].copy()
            moved[place] += shift
            network.restore({**start, f"weights/{name}": moved})
            losses.append(network.loss(case.batch))
        assert (losses[0] - losses[1]) / 2e-4 == pytest.approx(10 * mean[place], rel=1e-5, abs=1e-9), name


# State


@pytest.mark.slow
@pytest.mark.parametrize(("framework", "limit"), [("torch", 0.0), ("tensorflow", 1e-6)])
def test_a_restored_network_goes_on_as_if_nothing_had_happened(framework: str, limit: float) -> None:
    case = make_case()
    straight, again = case.build(framework, "float32"), case.build(framework, "float32")
    assert set(straight.state()) == {f"weights/{name}" for name in case.weights}
    for _ in range(3):
        straight.step(case.batch, 1e-2)
    again.step(case.batch, 0.5)
    again.restore(straight.state())
    for network in (straight, again):
        for _ in range(3):
            network.step(case.batch, 5e-3)
    expected, found = straight.state(), again.state()
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert np.abs(found[name] - value).max() <= limit, name


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [FRAMEWORKS, FRAMEWORKS[::-1]])
def test_training_goes_on_in_the_other_framework(first: str, second: str) -> None:
    case = make_case()
    straight, other = case.build(first), case.build(second)
    for _ in range(3):
        straight.step(case.batch, 1e-2)
    other.restore(straight.state())
    for network in (straight, other):
        for _ in range(3):
            network.step(case.batch, 1e-2)
    expected, found = straight.weights(), other.weights()
    for name, value in expected.items():
        assert np.abs(found[name] - value).max() <= 1e-7, name


# A bundle, in a process of its own

USE = """
import importlib, random, sys
from pathlib import Path
import numpy as np
from ptycho.archive import load_arrays, save_arrays
from ptycho.nets import build_network, load_bundle

folder, framework, other = Path(sys.argv[1]), *sys.argv[2:]
def read_generators():
    states = [random.getstate(), np.random.get_state()[1].tobytes()]
    if "torch" in sys.modules:
        states.append(sys.modules["torch"].get_rng_state().numpy().tobytes())
    return states
before = read_generators()
bundle = load_bundle(folder / "bundle.zip")
assert not {"torch", "tensorflow", "keras"} & set(sys.modules)
assert before == read_generators()
importlib.import_module(framework)  # TensorFlow draws a number when it is imported
before = read_generators()
examples = load_arrays(folder / "examples.npz")
found = {}
for precision in ("float32", "float64"):
    network = build_network(
        bundle.specification, bundle.illumination, bundle.weights, framework=framework, precision=precision
    )
    found[precision] = network.predict(examples["amplitudes"], examples["offsets"])
assert other not in sys.modules
assert before == read_generators()
save_arrays(folder / "found.npz", {**found, "scale": np.array(bundle.illumination.normalisation.scale)})
"""


@pytest.mark.slow
@pytest.mark.parametrize(("trained", "used"), [FRAMEWORKS, FRAMEWORKS[::-1]])
def test_a_bundle_of_one_framework_predicts_the_same_in_the_other(trained: str, used: str, tmp_path: Path) -> None:
    case = make_case()
    network = case.build(trained, "float32")
    losses = [network.step(case.batch, 1e-2) for _ in range(3)]
    bundle = Bundle(case.specification, case.illumination, network.weights(), {"losses": losses})
    save_bundle(tmp_path / "bundle.zip", bundle)
    amplitudes, offsets = case.groups
    save_arrays(tmp_path / "examples.npz", {"amplitudes": amplitudes, "offsets": offsets})
    subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path), used, trained],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=300,
    )
    loaded, found = load_bundle(tmp_path / "bundle.zip"), load_arrays(tmp_path / "found.npz")
    assert loaded.specification == case.specification
    assert loaded.illumination.normalisation == case.illumination.normalisation
    assert found["scale"] == case.illumination.normalisation.scale
    assert loaded.training == {"losses": losses}
    for precision, limit in LIMITS.items():
        expected = case._replace(weights=bundle.weights).build(trained, precision).predict(amplitudes, offsets)
        assert_close(found[precision], expected, limit)


def test_building_a_network_leaves_the_generator_of_torch_alone() -> None:
    import torch  # noqa: PLC0415 -- a framework is imported where it is used

    before = torch.get_rng_state()
    make_case(stages=1).build("torch")
    assert torch.equal(torch.get_rng_state(), before)


# What is refused


@frameworks
def test_a_frame_off_the_canvas_is_refused(framework: str) -> None:
    case = make_case(stages=1)
    amplitudes, offsets = case.groups
    network = case.build(framework)
    far = offsets.copy()
    far[2, 1] = 60, 0
    with pytest.raises(ShapeError, match=r"patch \(2, 1\): expected its corner between"):
        network.predict(amplitudes, far)
    with pytest.raises(ShapeError, match=r"patch \(2, 1\): expected its corner between"):
        network.step(replace(case.batch, offsets=far), 1e-3)
    with pytest.raises(ShapeError, match=r"amplitudes, offsets: expected \(B, 21, 26, 4\) and \(B, 4, 2\)"):
        network.loss(replace(case.batch, amplitudes=amplitudes[:, 1:]))


@frameworks
def test_no_groups_are_refused_and_the_byte_order_is_free(framework: str) -> None:
    case = make_case(stages=1)
    amplitudes, offsets = case.groups
    network = case.build(framework)
    with pytest.raises(ShapeError, match=r"amplitudes, offsets: expected .* found \(0, 21, 26, 4\)"):
        network.predict(amplitudes[:0], offsets[:0])
    swapped = network.predict(amplitudes.astype(">f8"), offsets.astype(">f8"))
    np.testing.assert_array_equal(swapped, network.predict(amplitudes, offsets))


@frameworks
def test_labels_that_are_not_there_are_asked_for(framework: str) -> None:
    case = make_case(task="supervised", stages=1)
    with pytest.raises(DataError, match="expected targets"):
        case.build(framework).loss(replace(case.batch, targets=None))


@frameworks
def test_a_state_of_other_shapes_is_refused_and_changes_nothing(framework: str) -> None:
    network = make_case(stages=1).build(framework)
    before = network.state()
    wrong = {name: value[..., :1] if value.ndim == 4 else value for name, value in before.items()}
    with pytest.raises(DataError, match=r"checkpoint: weights/0.first.kernel: expected \(3, 3, 20, "):
        network.restore(wrong)
    assert all(np.array_equal(value, before[name]) for name, value in network.state().items())


def test_a_gpu_that_is_not_there_is_refused() -> None:
    import tensorflow as tf  # noqa: PLC0415 -- loaded by the test that needs it

    if tf.config.list_logical_devices("GPU"):
        pytest.skip("TensorFlow has a GPU here")
    case = make_case(stages=1)
    with pytest.raises(ConfigError, match="expected a CUDA device for tensorflow, found none"):
        build_network(case.specification, case.illumination, case.weights, framework="tensorflow", device="cuda")


@pytest.mark.slow
def test_keras_on_another_framework_is_refused(tmp_path: Path) -> None:
    case = make_case(stages=1)
    save_bundle(tmp_path / "bundle.zip", Bundle(case.specification, case.illumination, case.weights))
    script = (
        "import sys; from pathlib import Path; from ptycho.nets import build_network, load_bundle\n"
        "bundle = load_bundle(Path(sys.argv[1]))\n"
        "parts = bundle.specification, bundle.illumination, bundle.weights\n"
        "try: build_network(*parts, framework='tensorflow')\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "bundle.zip")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout == "keras: expected the backend tensorflow, found torch; set KERAS_BACKEND=tensorflow\n"
