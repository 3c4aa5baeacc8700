"""`ptycho.physics.consistency` in TensorFlow: same names, arguments, shapes and errors; see there for each."""

from __future__ import annotations

import math

import tensorflow as tf
from numpy.typing import ArrayLike

from ptycho.backends.tensorflow.operators import propagate, shift_probe, sum_modes
from ptycho.backends.tensorflow.windows import Views, float64
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
    views = _find_views(canvases, whole, waves)
    power = tf.transpose(sum_modes(propagate(waves * views.cut(canvases)[:, :, None])), TO_BACK)
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
    """Move canvases (B, H, W, 1) towards the amplitudes (B, h, w, C) of their group; return them and their light.

    The detector's origin stays in the corner here, which saves moving every field there and back.
    """
    check_measured(amplitudes.shape, waves.shape)
    views = _find_views(canvases, whole, waves)
    light = views.spread(sum_modes(waves))
    largest = tf.reduce_max(light, axis=(1, 2), keepdims=True)
    denominator = tf.cast(light + DAMPING * largest, canvases.dtype)
    root = tf.constant(math.sqrt(waves.shape[-2] * waves.shape[-1]), waves.dtype)
    measured = tf.signal.ifftshift(tf.transpose(amplitudes, TO_FRONT)[:, :, None], axes=(-2, -1))
    valid = None if mask is None else tf.signal.ifftshift(tf.cast(mask, tf.bool), axes=(-2, -1))
    conjugate = tf.math.conj(waves)
    for _ in range(steps):
        exit_waves = waves * views.cut(canvases)[:, :, None]
        fields = tf.signal.fft2d(exit_waves) / root
        power = sum_modes(fields)[:, :, None]
        lit = power + POWER_FLOOR
        factor = measured * power / (lit * tf.sqrt(lit))
        factor = factor if valid is None else tf.where(valid, factor, tf.ones_like(factor))
        # tf.complex, unlike a cast, has a gradient that does not warn of the imaginary part it leaves out.
        moved = tf.signal.ifft2d(fields * tf.complex(factor, tf.zeros_like(factor))) * root - exit_waves
        canvases = canvases + views.spread(tf.reduce_sum(conjugate * moved, axis=2)) / denominator
    return canvases, light / largest


def _find_views(canvases: tf.Tensor, whole: ArrayLike, waves: tf.Tensor) -> Views:
    """Return where the waves (B, C, m, h, w) lie on the canvases (B, H, W, 1)."""
    return Views(float64(whole), (waves.shape[-2], waves.shape[-1]), (canvases.shape[1], canvases.shape[2]))
