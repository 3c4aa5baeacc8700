"""The published names that merge the patches of groups: thin over `ptycho.backends.tensorflow`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from ptycho.backends.tensorflow.operators import merge_groups
from ptycho.checks import check_whole
from ptycho.compat.params import get_padded_size
from ptycho.physics.groups import offset_axes
from ptycho.physics.shapes import check_axes, check_shape

__all__ = ["ReassemblePatchesLayer", "mk_reassemble_position_batched_real"]


def _reassemble_position_batched(
    imgs: tf.Tensor, offsets_xy: ArrayLike, padded_size: int | None = None, batch_size: int = 64
) -> tf.Tensor:
    """Merge the patches of each group, all pixels weighing the same: O = Σ_k T_kᴴ O_k / Σ_k T_kᴴ 1.

    Parameters
    ----------
    imgs
        (B, N, N, C) float or complex.
    offsets_xy
        (B, 1, 2, C), the published relative coordinates: −(true offset) in order [x, y].
    padded_size
        P, the side of a group's canvas; None takes `ptycho.params.get_padded_size()`.
    batch_size
        Groups merged at a time, where a graph knows how many there are. It changes memory, and nothing else.

    Returns
    -------
    tensor
        (B, P, P, 1), for every B and every slab; 0 where no patch lies.

    Raises
    ------
    ShapeError
        If shapes do not fit, or a patch leaves its canvas.
    """
    size = get_padded_size() if padded_size is None else check_whole("padded_size", padded_size)
    batch_size = check_whole("batch_size", batch_size)
    patches, published = tf.convert_to_tensor(imgs), tf.convert_to_tensor(offsets_xy)
    check_axes("imgs", patches.shape, "(B, N, N, C)")
    total, h, w, c = patches.shape
    check_shape("offsets_xy", published.shape, (total, 1, 2, c), "published offsets are (B, 1, 2, C) in [x, y]")
    offsets = tf.stack(offset_axes(published), axis=-1)
    if total is None or total <= batch_size:
        return merge_groups(patches, offsets, np.ones((h, w)), (size, size))[0]
    slabs = (slice(start, start + batch_size) for start in range(0, total, batch_size))
    merged = [merge_groups(patches[slab], offsets[slab], np.ones((h, w)), (size, size))[0] for slab in slabs]
    return tf.concat(merged, axis=0)


def mk_reassemble_position_batched_real(
    input_positions: ArrayLike, batch_size: int = 64, padded_size: int | None = None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the function that merges patches (B, N, N, C) at these relative coordinates (B, 1, 2, C).

    Parameters and errors are those of the merge: `batch_size` groups at a time, on canvases of `padded_size`.
    """

    def reassemble(imgs: tf.Tensor) -> tf.Tensor:
        return _reassemble_position_batched(imgs, input_positions, padded_size, batch_size)

    return reassemble


@keras.saving.register_keras_serializable(package="ptycho")
class ReassemblePatchesLayer(keras.layers.Layer):  # type: ignore[misc]
    """Merges ``[patches (B, N, N, C), relative coordinates (B, 1, 2, C)]`` into (B, P, P, 1) inside a model.

    Parameters
    ----------
    padded_size
        P; None takes `ptycho.params.get_padded_size()` when the layer is called.
    batch_size
        Groups merged at a time.
    kwargs
        Of `keras.layers.Layer`.
    """

    def __init__(self, padded_size: int | None = None, batch_size: int = 64, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**{"autocast": False, **kwargs})  # coordinates keep their float64
        self.padded_size = padded_size
        self.batch_size = batch_size

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Return the merged objects (B, P, P, 1)."""
        patches, positions = inputs
        return _reassemble_position_batched(patches, positions, self.padded_size, self.batch_size)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return (B, P, P, 1)."""
        size = get_padded_size() if self.padded_size is None else self.padded_size
        return input_shape[0][0], size, size, 1

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        return {**super().get_config(), "padded_size": self.padded_size, "batch_size": self.batch_size}
