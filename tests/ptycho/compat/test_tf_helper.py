"""The published merge: (B, P, P, 1) for every number of groups and every slab."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ptycho import params
from ptycho.errors import ConfigError, ShapeError
from ptycho.physics.groups import merge_groups, publish_offsets

N, P = 8, 15


def draw_groups(b: int, c: int) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Patches, published relative coordinates, and what numpy's merge makes of each group alone."""
    rng = np.random.default_rng(b * c)
    offsets = rng.uniform((-3.0, -1.5), (3.0, 1.5), (b, c, 2))
    patches = rng.standard_normal((b, N, N, c)).astype(np.float32)
    merged = [merge_groups(patches[i : i + 1], offsets[i : i + 1], np.ones((N, N)), (P, P))[0] for i in range(b)]
    return patches, publish_offsets(offsets), np.concatenate(merged)


@pytest.mark.parametrize("c", [1, 4, 9])
@pytest.mark.parametrize("b", [1, 15, 16, 17, 40, 128, 159])
def test_groups_never_collapse(b: int, c: int) -> None:
    from ptycho.tf_helper import _reassemble_position_batched, mk_reassemble_position_batched_real  # noqa: PLC0415

    patches, coords, expected = draw_groups(b, c)
    for slab in (1 if b < 20 else 7, 7, 64, b):
        merged = mk_reassemble_position_batched_real(coords, batch_size=slab, padded_size=P)(patches).numpy()
        assert merged.shape == (b, P, P, 1)
        assert np.abs(merged - expected).max() <= 1e-5 * np.abs(expected).max()
    np.testing.assert_array_equal(_reassemble_position_batched(patches, coords, P, batch_size=b).numpy(), merged)


def test_no_padded_size_means_that_of_the_settings() -> None:
    from ptycho.tf_helper import ReassemblePatchesLayer, _reassemble_position_batched  # noqa: PLC0415

    patches, coords, _ = draw_groups(3, 4)
    with params.override(N=N, gridsize=2):
        size = params.get_padded_size()
        assert _reassemble_position_batched(patches, coords, padded_size=None).shape == (3, size, size, 1)
        assert ReassemblePatchesLayer()([patches, coords]).shape == (3, size, size, 1)
    with params.override(padded_size=17):
        assert _reassemble_position_batched(patches, coords).shape == (3, 17, 17, 1)


def test_coordinates_of_another_shape_are_refused() -> None:
    from ptycho.tf_helper import mk_reassemble_position_batched_real  # noqa: PLC0415

    patches, coords, _ = draw_groups(3, 4)
    with pytest.raises(ShapeError, match=r"offsets_xy: expected shape \(3, 1, 2, 4\), found \(3, 4, 2\)"):
        mk_reassemble_position_batched_real(coords[:, 0].swapaxes(1, 2), padded_size=P)(patches)
    with pytest.raises(ShapeError, match="expected its corner"):
        mk_reassemble_position_batched_real(coords, padded_size=N)(patches)
    with pytest.raises(ShapeError, match=r"imgs: expected 4 axes \(B, N, N, C\), found \(3, 8, 8\)"):
        mk_reassemble_position_batched_real(coords, padded_size=P)(patches[..., 0])
    for slab in (0, 1.5):
        with pytest.raises(ConfigError, match=f"batch_size: expected a whole number >= 1, found {slab}"):
            mk_reassemble_position_batched_real(coords, slab, P)(patches)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_the_layer_stands_in_a_model_that_is_saved_and_loaded(dtype: str, tmp_path: Path) -> None:
    import keras  # noqa: PLC0415 -- a framework is imported where it is used

    from ptycho.tf_helper import ReassemblePatchesLayer  # noqa: PLC0415

    inputs = keras.Input((N, N, 4), dtype=dtype), keras.Input((1, 2, 4), dtype="float64")
    model = keras.Model(inputs, ReassemblePatchesLayer(padded_size=P)(list(inputs)))
    assert model.output_shape == (None, P, P, 1)
    model.save(tmp_path / "model.keras")
    loaded: Any = keras.models.load_model(tmp_path / "model.keras")
    for b in (1, 17, 128):
        patches, coords, expected = draw_groups(b, 4)
        merged = np.asarray(loaded([patches.astype(dtype), coords]))
        assert np.abs(merged - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.slow
def test_tensorflow_is_loaded_when_a_name_is_asked_for() -> None:
    script = (
        "import sys, ptycho.tf_helper as helper\nassert 'tensorflow' not in sys.modules\n"
        "helper.mk_reassemble_position_batched_real\nassert 'tensorflow' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_a_name_that_was_not_published_is_refused() -> None:
    import ptycho.tf_helper as helper  # noqa: PLC0415

    with pytest.raises(AttributeError, match="reassemble_everything"):
        helper.reassemble_everything  # noqa: B018
