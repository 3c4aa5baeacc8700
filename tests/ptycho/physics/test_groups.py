"""Groups of patches: one convention, and a batch axis that never collapses."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ptycho.backends import load
from ptycho.errors import ShapeError
from ptycho.physics.groups import (
    merge_groups,
    padded_shape,
    publish_offsets,
    read_offsets,
    sample_groups,
    split_groups,
)

BACKENDS = ["numpy", "torch", "tensorflow"]


def draw_groups(
    b: int, c: int, frame_shape: tuple[int, int] = (6, 9), seed: int = 0
) -> tuple[NDArray[np.complex64], NDArray[np.float64], NDArray[np.float64]]:
    """Patches, true offsets that are not square, and weights."""
    rng = np.random.default_rng(seed)
    shape = (b, *frame_shape, c)
    patches = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    return patches, rng.uniform((-1.2, -2.7), (1.2, 2.7), (b, c, 2)), rng.uniform(0.1, 1, frame_shape)


@cache
def merge_one_by_one(b: int, c: int, padded: tuple[int, int]) -> NDArray[np.complex64]:
    """Each of the groups drawn, merged by numpy as if there were no other."""
    patches, offsets, weights = draw_groups(b, c)
    return np.concatenate([merge_groups(patches[i : i + 1], offsets[i : i + 1], weights, padded)[0] for i in range(b)])


def coded_canvas(centre: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.complex128]:
    """A canvas around `centre` whose value is its own coordinate y + i x."""
    y, x = np.indices(shape)
    return (y - shape[0] // 2 + centre[0]) + 1j * (x - shape[1] // 2 + centre[1])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("gridsize", [1, 2, 3])
@pytest.mark.parametrize("frame_shape", [(8, 11), (7, 6)], ids=str)
def test_no_patch_of_a_group_is_mirrored_or_swapped(frame_shape: tuple[int, int], gridsize: int, backend: str) -> None:
    chosen = load(backend)
    rng = np.random.default_rng(gridsize)
    positions = rng.uniform((-50, 10), (50, 300), (4, 1, 2)) + rng.uniform((-2, -6), (2, 6), (4, gridsize**2, 2))
    centres, offsets = split_groups(positions)
    offsets = read_offsets(publish_offsets(offsets))
    height, width = padded_shape(offsets, frame_shape)
    canvases = np.stack([coded_canvas(centre, (height + 1, width)) for centre in centres[:, 0]])[..., None]
    patches = chosen.to_numpy(chosen.operators.sample_groups(chosen.asarray(canvases), offsets, frame_shape))
    centre = patches[:, frame_shape[0] // 2, frame_shape[1] // 2]
    np.testing.assert_allclose(centre, positions[..., 0] + 1j * positions[..., 1], atol=1e-9)
    step = patches[:, -1, 0] - patches[:, 0, 0]
    np.testing.assert_allclose(step, frame_shape[0] - 1, atol=1e-9)  # rows of a patch run along y


def test_published_offsets_are_x_before_y_and_negative() -> None:
    offsets = np.array([[[1.0, 20.0], [3.0, 40.0], [5.0, 60.0]]])  # one group of three, (y, x)
    published = publish_offsets(offsets)
    assert published.shape == (1, 1, 2, 3)
    np.testing.assert_array_equal(published[0, 0, 0], [-20, -40, -60])
    np.testing.assert_array_equal(published[0, 0, 1], [-1, -3, -5])
    np.testing.assert_array_equal(read_offsets(published), offsets)
    with pytest.raises(ShapeError, match="coords_relative"):
        read_offsets(offsets)


def test_offsets_of_a_group_are_taken_from_its_centre() -> None:
    positions = np.random.default_rng(0).uniform(-5, 5, (3, 4, 2))
    centres, offsets = split_groups(positions)
    assert centres.shape == (3, 1, 2)
    np.testing.assert_allclose(centres + offsets, positions)
    np.testing.assert_allclose(offsets.mean(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("c", [1, 4, 9])
@pytest.mark.parametrize("b", [1, 15, 16, 17, 40, 159])
def test_merging_a_batch_gives_every_group_as_it_is_alone(b: int, c: int, backend: str) -> None:
    chosen = load(backend)
    patches, offsets, weights = draw_groups(b, c)
    padded = (11, 17)

    def merge(part: slice) -> tuple[NDArray[Any], NDArray[Any]]:
        native = chosen.asarray(patches[part])
        merged, support = chosen.operators.merge_groups(native, offsets[part], weights, padded)
        return chosen.to_numpy(merged), chosen.to_numpy(support)

    whole, support = merge(slice(None))
    assert whole.shape == support.shape == (b, *padded, 1)
    alone = merge_one_by_one(b, c, padded)
    assert np.abs(whole - alone).max() <= 1e-5 * np.abs(alone).max()
    for slab in (1, 7, 64) if b <= 17 else (7, 64):  # one by one is what stands above
        parts = [merge(slice(start, start + slab)) for start in range(0, b, slab)]
        assert np.abs(np.concatenate([part[0] for part in parts]) - whole).max() <= 1e-5 * np.abs(whole).max()
        np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), support)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # torch's compiler on complex numbers
@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_one_compiled_graph_merges_batches_of_any_size(backend: str) -> None:
    chosen, padded = load(backend), (11, 17)

    def merge(patches: Any, offsets: Any, weights: Any) -> Any:
        return chosen.operators.merge_groups(patches, offsets, weights, padded)[0]

    if backend == "torch":
        import torch  # noqa: PLC0415 -- a framework is imported where it is used

        torch.compiler.reset()
        compiled = torch.compile(merge, fullgraph=True, dynamic=True)
    else:
        import tensorflow as tf  # noqa: PLC0415 -- a framework is imported where it is used

        shapes = ((None, 6, 9, 4), tf.complex64), ((None, 4, 2), tf.float64), ((6, 9), tf.float64)
        specs = [tf.TensorSpec(shape, dtype) for shape, dtype in shapes]
        compiled = tf.function(merge, input_signature=specs)
    for b in (1, 15, 16, 17, 40, 159):
        alone = merge_one_by_one(b, 4, padded)
        merged = chosen.to_numpy(compiled(*map(chosen.asarray, draw_groups(b, 4))))
        assert merged.shape == alone.shape
        assert np.abs(merged - alone).max() <= 1e-5 * np.abs(alone).max()


def test_groups_that_differ_come_out_different() -> None:
    patches, offsets, weights = draw_groups(40, 4)
    merged, _ = merge_groups(patches, offsets, weights, (11, 17))
    other = patches.copy()
    other[17] = np.nan
    spoilt, _ = merge_groups(other, offsets, weights, (11, 17))
    changed = [index for index in range(40) if not np.array_equal(merged[index], spoilt[index])]
    assert changed == [17]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("frame_shape", [(8, 11), (9, 6)], ids=str)
def test_sampling_then_merging_gives_a_canvas_back(frame_shape: tuple[int, int], backend: str) -> None:
    chosen = load(backend)
    rng = np.random.default_rng(1)
    offsets = rng.integers((-2, -4), (3, 5), (5, 4, 2)).astype(float)
    padded = padded_shape(offsets, frame_shape)
    canvases = rng.standard_normal((5, *padded, 1)) + 1j * rng.standard_normal((5, *padded, 1))
    weights = rng.uniform(0.1, 1, frame_shape)
    patches = chosen.operators.sample_groups(chosen.asarray(canvases), offsets, frame_shape)
    merged, support = map(chosen.to_numpy, chosen.operators.merge_groups(patches, offsets, weights, padded))
    covered = merge_groups(np.ones((5, *frame_shape, 4)), offsets, np.ones(frame_shape), padded)[1]
    np.testing.assert_array_equal(support, covered)
    np.testing.assert_allclose(merged[support], canvases[support], atol=1e-12)
    assert (merged[~support] == 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_no_weight_reaches_is_undefined_and_its_gradient_is_finite(backend: str) -> None:
    chosen = load(backend)
    patches, offsets, _ = draw_groups(3, 4)
    merged, support = chosen.operators.merge_groups(chosen.asarray(patches), offsets, np.zeros((6, 9)), (11, 17))
    assert not chosen.to_numpy(support).any()
    assert (chosen.to_numpy(merged) == 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_patch_outside_its_canvas_and_shapes_that_do_not_fit_are_refused(backend: str) -> None:
    chosen = load(backend)
    patches, offsets, weights = draw_groups(3, 4)
    native = chosen.asarray(patches)
    with pytest.raises(ShapeError, match=r"offsets: expected shape \(3, 4, 2\), found \(3, 3, 2\)"):
        chosen.operators.merge_groups(native, offsets[:, :3], weights, (11, 17))
    with pytest.raises(ShapeError, match="weights"):
        chosen.operators.merge_groups(native, offsets, weights.T, (11, 17))
    offsets[1, 2, 0] = 3.5
    with pytest.raises(ShapeError, match=r"patch \(1, 2\): expected its corner between \(0, 0\) and \(5, 8\)"):
        chosen.operators.merge_groups(native, offsets, weights, (11, 17))
    offsets[1, 2, 0] = np.nan
    with pytest.raises(ShapeError, match=r"patch \(1, 2\)"):
        chosen.operators.spread_groups(native, offsets, (11, 17))


def test_a_canvas_is_as_large_as_its_offsets_need() -> None:
    offsets = np.array([[[1.2, -3.0], [-0.4, 2.5]]])
    assert padded_shape(offsets, (7, 8)) == (11, 14)
    sample_groups(np.zeros((1, 11, 14, 1)), offsets, (7, 8))
