"""`ptycho.physics.consistency` in TensorFlow: same names, arguments, shapes and errors; see there for each."""

from __future__ import annotations

import tensorflow as tf
from numpy.typing import ArrayLike

from ptycho.backends.tensorflow.operators import (
    backpropagate,
    propagate,
    sample_groups,
    shift_probe,
    spread_groups,
    sum_modes,
)
from ptycho.backends.tensorflow.windows import float64
from ptycho.physics.consistency import DAMPING, POWER_FLOOR, check_measured

__all__ = ["light_groups", "predict_groups", "project_groups"]

TO_FRONT, TO_BACK = (0, 3, 1, 2), (0, 2, 3, 1)  # the axis of the patches of a group


def light_groups(probe: tf.Tensor, offsets: ArrayLike) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the waves (B, C, m, h, w) that light patches at offsets (B, C, 2), and their whole pixels (B, C, 2)."""
    places = float64(offsets)
    whole = tf.floor(places + 0.5)
    waves = shift_probe(probe, tf.reshape(places - whole, [-1, 2]))
    return tf.reshape(waves, [-1, places.shape[1], *probe.shape]), whole


def predict_groups(
    canvases: tf.Tensor, whole: ArrayLike, waves: tf.Tensor, *, mask: ArrayLike | None = None
) -> tf.Tensor:
    """Return λ (B, h, w, C) expected of canvases (B, H, W, 1), 0 off the mask."""
    power = tf.transpose(sum_modes(propagate(_exit_waves(canvases, whole, waves))), TO_BACK)
    return power if mask is None else power * tf.cast(mask, power.dtype)[..., None]


def project_groups(
    canvases: tf.Tensor,
    amplitudes: tf.Tensor,
    whole: ArrayLike,
    waves: tf.Tensor,
    *,
    steps: int = 1,
    mask: ArrayLike | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Move canvases (B, H, W, 1) towards the amplitudes (B, h, w, C) of their group; return them and their light."""
    check_measured(amplitudes.shape, waves.shape)
    padded = (canvases.shape[1], canvases.shape[2])
    light = spread_groups(tf.transpose(sum_modes(waves), TO_BACK), whole, padded)
    largest = tf.reduce_max(light, axis=(1, 2), keepdims=True)
    measured = tf.transpose(amplitudes, TO_FRONT)[:, :, None]
    valid = None if mask is None else tf.cast(mask, tf.bool)
    for _ in range(steps):
        exit_waves = _exit_waves(canvases, whole, waves)
        fields = propagate(exit_waves)
        power = sum_modes(fields)[:, :, None]
        lit = power + POWER_FLOOR
        factor = measured * power / (lit * tf.sqrt(lit))
        factor = factor if valid is None else tf.where(valid, factor, tf.ones_like(factor))
        # tf.complex, unlike a cast, has a gradient that does not warn of the imaginary part it leaves out.
        moved = backpropagate(fields * tf.complex(factor, tf.zeros_like(factor))) - exit_waves
        change = tf.transpose(tf.reduce_sum(tf.math.conj(waves) * moved, axis=2), TO_BACK)
        total = spread_groups(change, whole, padded)
        canvases = canvases + total / tf.cast(light + DAMPING * largest, total.dtype)
    return canvases, light / largest


def _exit_waves(canvases: tf.Tensor, whole: ArrayLike, waves: tf.Tensor) -> tf.Tensor:
    """Return ψ (B, C, m, h, w)."""
    patches = sample_groups(canvases, whole, (waves.shape[-2], waves.shape[-1]))
    return waves * tf.transpose(patches, TO_FRONT)[:, :, None]
