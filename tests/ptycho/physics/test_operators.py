"""Promises that every operator of the registry keeps, in every backend."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ptycho.backends import Backend, load
from ptycho.errors import ShapeError
from ptycho.physics.propagation import backpropagate, propagate
from ptycho.physics.registry import OPERATORS, Operator
from ptycho.physics.setting import Setting, make_setting
from ptycho.physics.shift import shift_probe

FRAME_SHAPES = [(8, 8), (7, 9), (12, 5), (9, 16)]
BACKENDS = ["numpy", "torch", "tensorflow"]
PORTS = BACKENDS[1:]
LINEAR = [operator for operator in OPERATORS if operator.adjoint is not None]

operators = pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.name)
linear_operators = pytest.mark.parametrize("operator", LINEAR, ids=lambda operator: operator.name)
shapes = pytest.mark.parametrize("frame_shape", FRAME_SHAPES, ids=str)


def draw(shape: tuple[int, ...], seed: int, *, real: bool = False) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    return values if real else values + 1j * rng.standard_normal(shape)


def draw_like(array: NDArray[Any], seed: int) -> NDArray[Any]:
    return draw(array.shape, seed, real=not np.iscomplexobj(array))


def apply(operator: Operator, backend: Backend, setting: Setting, inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The operator in a backend, numpy in and numpy out."""
    return backend.to_numpy(operator.bind(backend, setting)(*map(backend.asarray, inputs)))


def probed_gradients(
    name: str, function: Callable[..., Any], inputs: Sequence[NDArray[Any]], probe: NDArray[Any]
) -> list[NDArray[Any]]:
    """Gradients of Re⟨probe, f(inputs)⟩, ∂/∂Re + i ∂/∂Im, by the framework's own differentiation."""
    backend = load(name)
    arguments = [backend.asarray(array) for array in inputs]
    weight = backend.asarray(probe.conj())
    if name == "torch":
        for argument in arguments:
            argument.requires_grad_()
        (function(*arguments) * weight).sum().real.backward()
        return [backend.to_numpy(argument.grad) for argument in arguments]
    import tensorflow as tf  # noqa: PLC0415 -- a framework is imported where it is used

    with tf.GradientTape() as tape:
        for argument in arguments:
            tape.watch(argument)
        total = tf.math.real(tf.reduce_sum(function(*arguments) * weight))
    return [backend.to_numpy(gradient) for gradient in tape.gradient(total, arguments)]


def assert_close(found: NDArray[Any], expected: NDArray[Any], limit: float) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= limit * np.abs(expected).max()


@shapes
@linear_operators
def test_the_adjoint_is_the_adjoint(operator: Operator, frame_shape: tuple[int, int]) -> None:
    setting = make_setting(frame_shape)
    forward = operator.bind(load("numpy"), setting)
    x = draw_like(operator.inputs(setting)[0], 1)
    ax = forward(x)
    y = draw_like(ax, 2)
    ahy = operator.adjoint(setting, y)
    assert ahy.shape == x.shape
    assert abs(np.vdot(y, ax) - np.vdot(ahy, x)) <= 1e-12 * np.linalg.norm(y) * np.linalg.norm(ax)
    if operator.unitary:
        assert np.linalg.norm(ax) == pytest.approx(np.linalg.norm(x), rel=1e-12)


@pytest.mark.parametrize("backend", PORTS)
@pytest.mark.parametrize("frame_shape", FRAME_SHAPES[2:], ids=str)
@operators
def test_a_backend_agrees_with_numpy(operator: Operator, frame_shape: tuple[int, int], backend: str) -> None:
    double = make_setting(frame_shape, seed=3, modes=3)
    for setting, limit in ((double, 1e-12), (double.to_single(), 1e-5)):
        inputs = operator.inputs(setting)
        expected = apply(operator, load("numpy"), setting, inputs)
        found = apply(operator, load(backend), setting, inputs)
        assert found.dtype == expected.dtype
        assert_close(found, expected, limit)


@operators
def test_numpy_keeps_single_precision(operator: Operator) -> None:
    double = make_setting((7, 9))
    single = double.to_single()
    expected = apply(operator, load("numpy"), double, operator.inputs(double))
    found = apply(operator, load("numpy"), single, operator.inputs(single))
    if not operator.name.startswith("deviance_ratio"):  # float64 by intent
        assert found.dtype in (np.complex64, np.float32)
    assert_close(found, expected, 1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_arrays_of_numpy_may_lie_in_memory_as_they_like(backend: str) -> None:
    """Positions read backwards, a probe turned around, frames of another byte order: views that numpy users make."""
    chosen = load(backend)
    s = make_setting((7, 9), seed=4, modes=3)

    def predict(probe: NDArray[Any], positions: NDArray[Any], mask: NDArray[Any], background: NDArray[Any]) -> Any:
        model = chosen.operators.predict_intensity(
            chosen.asarray(s.obj), s.origin, chosen.asarray(probe), positions, background=background, mask=mask
        )
        loss = chosen.losses.poisson_nll(chosen.asarray(s.counts), model, mask)
        return chosen.to_numpy(model), chosen.to_numpy(loss)

    def read_backwards(array: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(array[::-1, ::-1]).astype(array.dtype.newbyteorder(">"))[::-1, ::-1]

    expected = predict(s.probe, s.positions, s.mask, s.weights)
    found = predict(*map(read_backwards, (s.probe, s.positions, s.mask, s.weights)))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)
    patches = chosen.asarray(s.patches)
    merged, again = (
        chosen.to_numpy(chosen.operators.merge_groups(patches, turn(s.offsets), turn(s.weights), s.padded)[0])
        for turn in (lambda array: array, read_backwards)
    )
    np.testing.assert_allclose(merged, again, atol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_of_python_keep_their_digits(backend: str) -> None:
    """A background of 0.3 is 0.3 in float64, not the float32 next to it."""
    chosen = load(backend)
    s = make_setting((7, 9), seed=4)
    frames, probe = chosen.asarray(s.frames), chosen.asarray(s.probe)
    dark, lit = (chosen.operators.predict_patches(frames, probe, gain=1e-9, background=b) for b in (0.0, 0.3))
    np.testing.assert_allclose(chosen.to_numpy(lit) - chosen.to_numpy(dark), 0.3, rtol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_arrays_with_other_axes_are_named(backend: str) -> None:
    chosen = load(backend)
    s = make_setting((7, 9))
    obj, probe = chosen.asarray(s.obj), chosen.asarray(s.probe)
    for changed, message in (
        ((obj, s.origin, probe[0], s.positions), r"probe: expected 3 axes \(m, h, w\), found \(7, 9\)"),
        ((obj[None], s.origin, probe, s.positions), r"obj: expected 2 axes \(H, W\), found \(1, "),
        ((obj, s.origin, probe, s.positions.T), r"positions: expected shape \(2, 2\), found \(2, 5\)"),
        ((obj, s.origin, probe, s.positions[0]), r"positions: expected 2 axes \(n, 2\), found \(2,\)"),
    ):
        for function in (chosen.operators.diffract, chosen.operators.predict_intensity):
            with pytest.raises(ShapeError, match=message):
                function(*changed)
    with pytest.raises(ShapeError, match=r"canvases: expected 4 axes \(B, H, W, 1\), found"):
        chosen.operators.sample_groups(chosen.asarray(s.canvases)[..., 0], s.offsets, s.frame_shape)
    with pytest.raises(ShapeError, match=r"probe: expected 3 axes \(m, h, w\), found \(7, 9\)"):
        chosen.operators.predict_patches(chosen.asarray(s.frames), probe[0])


@pytest.mark.parametrize("backend", PORTS)
@linear_operators
def test_differentiating_a_linear_operator_gives_its_adjoint(operator: Operator, backend: str) -> None:
    setting = make_setting((7, 10))
    inputs = operator.inputs(setting)
    function = operator.bind(load(backend), setting)
    y = draw_like(apply(operator, load("numpy"), setting, inputs), 4)
    (gradient,) = probed_gradients(backend, function, inputs, y)
    assert_close(gradient, operator.adjoint(setting, y), 1e-12)


@pytest.mark.parametrize("backend", PORTS)
@operators
def test_gradients_agree_with_finite_differences(operator: Operator, backend: str) -> None:
    setting = make_setting((7, 10))
    inputs = operator.inputs(setting)
    function = operator.bind(load(backend), setting)
    y = draw_like(apply(operator, load("numpy"), setting, inputs), 5)
    directions = [draw_like(array, 6 + index) for index, array in enumerate(inputs)]
    step = 1e-6
    forth, back = (
        np.vdot(
            y,
            apply(
                operator,
                load(backend),
                setting,
                [x + sign * step * d for x, d in zip(inputs, directions, strict=True)],
            ),
        ).real
        for sign in (1, -1)
    )
    gradients = probed_gradients(backend, function, inputs, y)
    parts = [np.vdot(gradient, d).real for gradient, d in zip(gradients, directions, strict=True)]
    scale = sum(np.linalg.norm(gradient) * np.linalg.norm(d) for gradient, d in zip(gradients, directions, strict=True))
    assert abs((forth - back) / (2 * step) - sum(parts)) <= 1e-7 * scale


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "operator", [operator for operator in OPERATORS if operator.by_frame], ids=lambda operator: operator.name
)
def test_chunks_give_the_whole(operator: Operator, backend: str) -> None:
    setting = make_setting((7, 9), frames=7).to_single()
    parts = [setting.select(slice(start, start + 3)) for start in (0, 3, 6)]
    whole = apply(operator, load(backend), setting, operator.inputs(setting))
    chunks = [apply(operator, load(backend), part, operator.inputs(part)) for part in parts]
    assert_close(np.concatenate(chunks), whole, 1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # torch's compiler on complex numbers
@pytest.mark.parametrize("backend", PORTS)
@operators
def test_compiled_graphs_give_what_eager_gives(operator: Operator, backend: str) -> None:
    setting = make_setting((7, 10))
    inputs = operator.inputs(setting)
    function = operator.bind(load(backend), setting)
    if backend == "torch":
        import torch  # noqa: PLC0415 -- a framework is imported where it is used

        torch.compiler.reset()  # or graphs of earlier tests count against the limit
        compiled = torch.compile(function, fullgraph=True)
    else:
        import tensorflow as tf  # noqa: PLC0415 -- a framework is imported where it is used

        compiled = tf.function(function)
    expected = apply(operator, load(backend), setting, inputs)
    y = draw_like(expected, 5)
    found = load(backend).to_numpy(compiled(*map(load(backend).asarray, inputs)))
    assert_close(found, expected, 1e-12)
    for one, other in zip(
        probed_gradients(backend, compiled, inputs, y), probed_gradients(backend, function, inputs, y), strict=True
    ):
        assert_close(one, other, 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "limit"), [(np.complex128, 1e-6), (np.complex64, 1e-5)])
@pytest.mark.parametrize("shape", [(64, 127), (127, 128), (128, 64), (256, 127)], ids=str)
def test_propagation_keeps_the_energy_and_can_be_undone(
    shape: tuple[int, ...], dtype: type[np.complexfloating], limit: float, backend: str
) -> None:
    chosen = load(backend)
    wave = draw(shape, 3).astype(dtype)
    field = chosen.operators.propagate(chosen.asarray(wave))
    energy = np.sum(np.abs(wave) ** 2, dtype=np.float64)
    assert abs(np.sum(np.abs(chosen.to_numpy(field)) ** 2, dtype=np.float64) - energy) <= limit * energy
    assert np.abs(chosen.to_numpy(chosen.operators.backpropagate(field)) - wave).max() <= limit * np.abs(wave).max()


@pytest.mark.parametrize("shape", [(8, 9), (9, 8)], ids=str)
def test_the_detectors_origin_lies_at_half_the_frame(shape: tuple[int, ...]) -> None:
    field = propagate(np.ones(shape, np.complex128))
    brightest = np.unravel_index(np.abs(field).argmax(), shape)
    assert brightest == (shape[0] // 2, shape[1] // 2)
    np.testing.assert_allclose(backpropagate(field), 1, atol=1e-12)


@pytest.mark.parametrize("shape", [(16, 21), (21, 16)], ids=str)
def test_a_shift_by_whole_pixels_is_a_roll(shape: tuple[int, ...]) -> None:
    probe = draw((2, *shape), 4)
    shifted = shift_probe(probe, np.array([[2.0, -3.0]]))
    np.testing.assert_allclose(shifted[0], np.roll(probe, (2, -3), axis=(1, 2)), atol=1e-12)


def test_a_shift_between_pixels_keeps_the_energy() -> None:
    probe = draw((1, 16, 21), 5)
    shifted = shift_probe(probe, np.array([[0.3, -0.45]]))
    assert np.sum(np.abs(shifted) ** 2) == pytest.approx(np.sum(np.abs(probe) ** 2), rel=1e-12)


def test_every_backend_has_the_same_names() -> None:
    names = [load(backend).operators.__all__ + load(backend).losses.__all__ for backend in BACKENDS]
    assert names[0] == names[1] == names[2]
    ports = [load(backend).consistency.__all__ for backend in PORTS]
    assert ports[0] == ports[1]
    assert set(ports[0]) <= set(load("numpy").consistency.__all__)
    assert {*names[0], *ports[0]} <= {re.match(r"\w+", operator.name)[0] for operator in OPERATORS}
