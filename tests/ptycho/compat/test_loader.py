"""The container of samples: published names, slices, one normalisation. Streams are in tests/test_lazy_loading.py."""

from typing import Any

import numpy as np
import pytest

from ptycho.data.normalisation import Normalisation
from ptycho.errors import ConfigError, ShapeError
from ptycho.loader import PtychoDataContainer, load
from ptycho.raw_data import RawData


def make_container(raw: RawData, gridsize: int = 2, **options: Any) -> PtychoDataContainer:
    grouped = raw.generate_grouped_data(12, nsamples=25, gridsize=gridsize, **options)
    return load(lambda: grouped, raw.probeGuess, framework="numpy")


@pytest.mark.parametrize("gridsize", [1, 2])
def test_a_container_has_the_published_names_and_shapes(raw: RawData, gridsize: int) -> None:
    container = make_container(raw, gridsize)
    c = gridsize**2
    assert len(container) == 25
    for name in ("X", "Y", "Y_I", "Y_phi"):
        assert getattr(container, name).shape == (25, 8, 12, c)
    for name in ("coords", "coords_nominal", "coords_true", "local_offsets"):
        assert getattr(container, name).shape == (25, 1, 2, c)
    assert container.global_offsets.shape == (25, 1, 2, 1)
    assert container.nn_indices.shape == (25, c)
    np.testing.assert_allclose(container.Y, container.Y_I * np.exp(1j * container.Y_phi))
    assert container.probe is raw.probeGuess


@pytest.mark.parametrize("size", [1, 4, 10, 25, 100])
def test_slices_of_any_size_equal_the_whole_and_share_the_normalisation(raw: RawData, size: int) -> None:
    container = make_container(raw)
    parts = [container[start : start + size] for start in range(0, 25, size)]
    for name in ("X", "Y", "coords", "global_offsets", "nn_indices"):
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(container, name))
    assert all(part.normalisation is container.normalisation for part in parts)


def test_a_container_takes_integers_lists_and_masks(raw: RawData) -> None:
    container = make_container(raw)
    np.testing.assert_array_equal(container[3].X, container.X[[3]])
    np.testing.assert_array_equal(container[[5, 2]].X, container.X[[5, 2]])
    mask = np.arange(25) % 3 == 0
    np.testing.assert_array_equal(container[mask][1:3].X, container.X[mask][1:3])


def test_normalising_twice_is_normalising_once(raw: RawData) -> None:
    amplitudes = np.sqrt(np.moveaxis(raw.diff3d[:, None], 1, -1))
    once = PtychoDataContainer(amplitudes, framework="numpy").normalised()
    assert once.is_normalised
    assert once.normalised() is once
    assert once.normalised(Normalisation(1e-3, (8, 12))) is once
    assert np.square(once.X, dtype=np.float64).sum() / 30 == pytest.approx(8 * 12 / 4, rel=1e-6)
    again = PtychoDataContainer(once.X, framework="numpy").normalised()  # even one that forgot what it is
    np.testing.assert_allclose(again.X, once.X, rtol=1e-6)
    loaded = make_container(raw)
    assert loaded.normalised() is loaded


def test_what_the_detector_cannot_be_believed_does_not_count_in_the_normalisation(raw: RawData) -> None:
    amplitudes = np.sqrt(np.moveaxis(raw.diff3d[:, None], 1, -1)) * raw.mask[..., None]
    clean = PtychoDataContainer(amplitudes, mask=raw.mask, framework="numpy").normalised()
    for spoilt in (1e4, np.nan):
        hot = np.where(raw.mask[..., None], amplitudes, spoilt)
        found = PtychoDataContainer(hot, mask=raw.mask, framework="numpy").normalised()
        assert found.normalisation == clean.normalisation
        np.testing.assert_array_equal(found.X, clean.X)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_the_dtype_of_amplitudes_does_not_change_their_normalisation(dtype: type) -> None:
    amplitudes = np.random.default_rng(3).integers(0, 60_000, (9, 8, 12, 4))
    reference = PtychoDataContainer(amplitudes, framework="numpy").normalised().X
    found = PtychoDataContainer(amplitudes.astype(dtype), framework="numpy").normalised().X
    np.testing.assert_allclose(found, reference, rtol=1e-6)


def test_a_part_may_be_normalised_as_the_whole(raw: RawData) -> None:
    amplitudes = np.sqrt(np.moveaxis(raw.diff3d[:, None], 1, -1))
    whole = PtychoDataContainer(amplitudes, framework="numpy").normalised()
    part = PtychoDataContainer(amplitudes[:3], framework="numpy").normalised(whole.normalisation)
    np.testing.assert_array_equal(part.X, whole.X[:3])


def test_without_an_object_there_are_no_labels(raw: RawData) -> None:
    blind = RawData.from_coords_without_pc(raw.xcoords, raw.ycoords, raw.diff3d, raw.probeGuess)
    container = make_container(blind)
    assert container.Y is None
    assert container._Y_I_np is None
    inputs, targets = container.read(np.array([4, 2]))
    assert [array.shape for array in inputs] == [(2, 8, 12, 4), (2, 1, 2, 4)]
    np.testing.assert_array_equal(targets[0], container.X[[4, 2]])
    assert len(targets) == 1


def test_a_split_gives_the_first_groups_to_training(raw: RawData) -> None:
    grouped = raw.generate_grouped_data(12, nsamples=20)
    train, test = (
        load(lambda: (grouped, 0.75), raw.probeGuess, which, create_split=True, framework="numpy")
        for which in ("train", "test")
    )
    assert (len(train), len(test)) == (15, 5)
    np.testing.assert_array_equal(np.concatenate((train.X, test.X)), np.asarray(grouped["X_full"]))
    with pytest.raises(ConfigError, match=r"found None and 0\.75 of 20"):
        load(lambda: (grouped, 0.75), raw.probeGuess, create_split=True)


def test_arrays_that_do_not_fit_are_named() -> None:
    with pytest.raises(ShapeError, match=r"X: expected \(B, h, w, C\), found \(3, 8, 8\)"):
        PtychoDataContainer(np.ones((3, 8, 8)))
    with pytest.raises(ShapeError, match=r"coords_nominal: expected shape \(3, 1, 2, 1\), found \(4, 1, 2, 1\)"):
        PtychoDataContainer(np.ones((3, 8, 8, 1)), coords_nominal=np.ones((4, 1, 2, 1)))
    with pytest.raises(ShapeError, match=r"local_offsets: expected shape \(3, 1, 2, 4\), found \(3, 1, 4, 2\)"):
        PtychoDataContainer(np.ones((3, 8, 8, 4)), local_offsets=np.ones((3, 1, 4, 2)))
    with pytest.raises(ShapeError, match=r"mask: expected shape \(8, 12\), found \(12, 8\)"):
        PtychoDataContainer(np.ones((3, 8, 12, 1)), mask=np.ones((12, 8), bool))
    with pytest.raises(ConfigError, match="framework: expected one of tensorflow, torch, numpy, found 'jax'"):
        PtychoDataContainer(np.ones((3, 8, 8, 1)), framework="jax")
    with pytest.raises(AttributeError, match="found 'Z'"):
        PtychoDataContainer(np.ones((3, 8, 8, 1))).Z  # noqa: B018
