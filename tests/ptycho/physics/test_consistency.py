"""Groups and their measured amplitudes: what agrees stays, what does not is moved towards agreement."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ptycho.backends import load
from ptycho.errors import ShapeError
from ptycho.physics import predict_intensity
from ptycho.physics.consistency import DAMPING, POWER_FLOOR, Projection, light_groups, predict_groups
from ptycho.physics.groups import accumulate_groups, sample_groups
from ptycho.physics.propagation import backpropagate, propagate

FRAME_SHAPE = (12, 15)
PADDED = (20, 27)


def draw(*shape: int, seed: int = 0) -> NDArray[np.complex128]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def make_group(modes: int = 3) -> tuple[NDArray[np.complex128], NDArray[np.complex128], NDArray[np.float64]]:
    """A canvas of one group, complex random modes of power h w / 4, and four offsets between pixels."""
    probe = draw(modes, *FRAME_SHAPE, seed=1)
    probe *= np.sqrt(probe[0].size / 4 / (np.abs(probe) ** 2).sum())
    offsets = np.random.default_rng(2).uniform((-3, -5), (3, 5), (1, 4, 2))
    return 1 + 0.3 * draw(1, *PADDED, 1, seed=3), probe, offsets


def agreeing(power: NDArray[np.floating]) -> NDArray[np.floating]:
    """The amplitudes that leave fields of a power as they are: its root, but for the floor."""
    return (power + POWER_FLOOR) ** 1.5 / power


def test_a_group_is_predicted_as_the_object_that_its_canvas_is() -> None:
    canvas, probe, offsets = make_group()
    waves, whole = light_groups(probe, offsets)
    expected = predict_intensity(canvas[0, ..., 0], -(np.array(PADDED) // 2).astype(float), probe, offsets[0])
    np.testing.assert_allclose(predict_groups(canvas, whole, waves)[0], np.moveaxis(expected, 0, -1), rtol=1e-12)


def test_a_canvas_that_agrees_with_every_frame_stays() -> None:
    canvas, probe, offsets = make_group()
    waves, whole = light_groups(probe, offsets)
    amplitudes = agreeing(predict_groups(canvas, whole, waves))
    projection = Projection(amplitudes, whole, waves, PADDED)
    moved = projection.move(canvas, steps=5)
    assert np.abs(moved - canvas).max() <= 1e-12
    assert projection.light.max() == 1


def test_steps_bring_an_empty_canvas_into_agreement_with_the_frames() -> None:
    canvas, probe, offsets = make_group(modes=1)
    waves, whole = light_groups(probe, offsets)
    amplitudes = np.sqrt(predict_groups(canvas, whole, waves))

    def misfit(found: NDArray[np.complexfloating]) -> float:
        return float(((np.sqrt(predict_groups(found, whole, waves)) - amplitudes) ** 2).mean())

    empty = np.ones_like(canvas)
    projection = Projection(amplitudes, whole, waves, PADDED)
    misfits = [misfit(projection.move(empty, steps=steps)) for steps in (0, 1, 10, 100)]
    assert misfits == sorted(misfits, reverse=True)
    assert misfits[-1] < 0.02 * misfits[0]


def test_one_step_from_an_empty_canvas_is_the_merged_back_projection() -> None:
    canvas, probe, offsets = make_group(modes=1)
    whole = np.round(offsets)
    waves, _ = light_groups(probe, whole)
    amplitudes = np.sqrt(predict_groups(canvas, whole, waves))
    far_field = propagate(probe[0])
    power = np.abs(far_field) ** 2
    back = backpropagate(np.moveaxis(amplitudes[0], -1, 0) * far_field * power / (power + POWER_FLOOR) ** 1.5)
    weights = np.abs(probe[0]) ** 2
    objects = np.moveaxis(back / probe[0], 0, -1)[None]
    numerator, light = accumulate_groups(objects, whole, weights, PADDED)
    delta = DAMPING * light.max()
    moved = Projection(amplitudes, whole, waves, PADDED).move(np.ones_like(canvas))
    np.testing.assert_allclose(moved, (numerator + delta) / (light + delta), atol=1e-9)


def test_pixels_off_the_mask_say_nothing() -> None:
    canvas, probe, offsets = make_group()
    waves, whole = light_groups(probe, offsets)
    mask = np.random.default_rng(4).random(FRAME_SHAPE) > 0.3
    amplitudes = agreeing(predict_groups(canvas, whole, waves))
    spoiled = np.where(mask[..., None], amplitudes, 100.0)
    moved = Projection(spoiled, whole, waves, PADDED, mask=mask).move(canvas)
    assert np.abs(moved - canvas).max() <= 1e-12
    assert np.abs(Projection(spoiled, whole, waves, PADDED).move(canvas) - canvas).max() > 1


def test_waves_of_other_frames_are_refused_by_shape() -> None:
    _, probe, offsets = make_group()
    waves, whole = light_groups(probe, offsets)
    with pytest.raises(ShapeError, match=r"waves: expected shape \(1, 3, 3, 12, 15\), found \(1, 4, 3, 12, 15\)"):
        Projection(np.ones((1, *FRAME_SHAPE, 3)), whole, waves, PADDED)


def test_the_phase_of_darkness_does_not_grow() -> None:
    """Beside a smooth probe's far field there is rounding, and in a measured frame there is background."""
    y, x = np.indices(FRAME_SHAPE) - np.reshape(FRAME_SHAPE, (2, 1, 1)) // 2
    probe = np.exp(-(y**2 + x**2) / 8 + 0.1j * x)[None]
    probe *= np.sqrt(probe[0].size / 4 / (np.abs(probe) ** 2).sum())
    _, _, offsets = make_group()
    amplitudes = np.random.default_rng(5).uniform(0.2, 0.6, (1, *FRAME_SHAPE, 4))
    found = []
    for kind in (np.complex128, np.complex64):
        waves, whole = light_groups(probe.astype(kind), offsets)
        measured = amplitudes.astype(waves.real.dtype)
        found.append(Projection(measured, whole, waves, PADDED).move(np.ones((1, *PADDED, 1), kind), steps=9))
    assert np.abs(found[1] - found[0]).max() <= 1e-4 * np.abs(found[0]).max()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_one_compiled_graph_leaves_out_what_lies_off_a_canvas_whatever_the_batch(backend: str) -> None:
    chosen, steps = load(backend), 2
    probe = make_group()[1]
    native = chosen.asarray(probe)

    def run(canvases: Any, amplitudes: Any, offsets: Any) -> Any:
        waves, whole = chosen.consistency.light_groups(native, offsets)
        projection = chosen.consistency.Projection(amplitudes, whole, waves, PADDED)
        moved = projection.move(canvases, steps=steps)
        return moved, projection.light, chosen.consistency.predict_groups(canvases, whole, waves)

    if backend == "torch":
        import torch  # noqa: PLC0415 -- a framework is imported where it is used

        torch.compiler.reset()  # or graphs of earlier tests count against the limit
        compiled = torch.compile(run, fullgraph=True, dynamic=True, backend="eager")
    else:
        import tensorflow as tf  # noqa: PLC0415 -- a framework is imported where it is used

        shapes = ((*PADDED, 1), tf.complex128), ((*FRAME_SHAPE, 4), tf.float64), ((4, 2), tf.float64)
        compiled = tf.function(run, [tf.TensorSpec((None, *shape), dtype) for shape, dtype in shapes])
    for b in (1, 3, 16):
        rng = np.random.default_rng(b)
        canvases, amplitudes = draw(b, *PADDED, 1, seed=b), rng.uniform(0.2, 0.6, (b, *FRAME_SHAPE, 4))
        offsets = rng.uniform((-3, -5), (3, 5), (b, 4, 2))
        offsets[-1, 2] = 7.3, -9.4  # 3 rows and 3 columns of it lie on no canvas
        found = map(chosen.to_numpy, compiled(*map(chosen.asarray, (canvases, amplitudes, offsets))))
        for one, other in zip(found, run_on_larger_canvases(canvases, amplitudes, probe, offsets, steps), strict=True):
            assert one.shape == other.shape
            assert np.abs(one - other).max() <= 1e-10 * np.abs(other).max()


def run_on_larger_canvases(
    canvases: NDArray[np.complex128],
    amplitudes: NDArray[np.float64],
    probe: NDArray[np.complex128],
    offsets: NDArray[np.float64],
    steps: int,
) -> list[NDArray[Any]]:
    """What numpy finds where there is room for every patch, but no light off the canvases."""
    room = ((0, 0), (6, 6), (6, 6), (0, 0))
    larger = np.pad(canvases, room)
    waves, whole = light_groups(probe, offsets)
    inside = sample_groups(np.pad(np.ones(canvases.shape), room), whole, FRAME_SHAPE)
    waves = waves * np.moveaxis(inside, -1, 1)[:, :, None]
    projection = Projection(amplitudes, whole, waves, (larger.shape[1], larger.shape[2]))
    moved = projection.move(larger, steps=steps)
    return [moved[:, 6:-6, 6:-6], projection.light[:, 6:-6, 6:-6], predict_groups(larger, whole, waves)]
