"""`ptycho.physics.consistency` in TensorFlow: same names, arguments, shapes and errors; see there for each."""

from __future__ import annotations

import math

import tensorflow as tf
from numpy.typing import ArrayLike

from ptycho.backends.tensorflow.operators import AXES, propagate, shift_probe, sum_modes
from ptycho.backends.tensorflow.windows import Views, float64
from ptycho.physics.consistency import DAMPING, POWER_FLOOR, check_measured

__all__ = ["Projection", "light_groups", "predict_groups"]

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
    views = Views(float64(whole), (waves.shape[-2], waves.shape[-1]), (canvases.shape[1], canvases.shape[2]))
    power = tf.transpose(sum_modes(propagate(views.keep(waves) * views.cut(canvases)[:, :, None])), TO_BACK)
    return power if mask is None else power * tf.cast(mask, power.dtype)[..., None]


class Projection:
    """Steps of canvases (B, H, W, 1) towards the amplitudes (B, h, w, C) of their group.

    The detector's origin stays in the corner here, which saves moving every field there and back, the factors of both
    transforms are in the waves, and modes are the first axis: TensorFlow repeats patches along it faster.
    """

    def __init__(
        self,
        amplitudes: tf.Tensor,
        whole: ArrayLike,
        waves: tf.Tensor,
        padded_shape: tuple[int, int],
        *,
        mask: ArrayLike | None = None,
    ) -> None:
        check_measured(amplitudes.shape, waves.shape)
        h, w = waves.shape[-2:]
        self._views = Views(float64(whole), (h, w), padded_shape)
        kept = self._views.keep(waves)
        root = tf.constant(math.sqrt(h * w), waves.dtype)
        by_mode = tf.transpose(kept, (2, 0, 1, 3, 4))
        self._waves, self._conjugate = by_mode / root, tf.math.conj(by_mode) * root
        measured, self._valid = tf.signal.ifftshift(tf.transpose(amplitudes, TO_FRONT), axes=AXES), None
        if mask is not None:
            valid = tf.signal.ifftshift(tf.cast(mask, tf.bool), axes=AXES)
            measured, self._valid = tf.where(valid, measured, 0), tf.cast(valid, measured.dtype)
        self._measured = measured
        light = self._views.spread(sum_modes(kept))
        largest = tf.reduce_max(light, axis=(1, 2), keepdims=True)
        self._share = tf.cast(1 / (light + DAMPING * largest), waves.dtype)
        self.light = light / largest

    def move(self, canvases: tf.Tensor, *, steps: int = 1) -> tf.Tensor:
        """Return canvases (B, H, W, 1) after so many steps."""
        for _ in range(steps):
            fields = tf.signal.fft2d(self._waves * self._views.cut(canvases))
            power = tf.reduce_sum(tf.square(tf.math.real(fields)) + tf.square(tf.math.imag(fields)), axis=0)
            lit = power + POWER_FLOOR
            excess = self._measured * power / (lit * tf.sqrt(lit)) - 1
            excess = excess if self._valid is None else excess * self._valid
            # tf.complex, unlike a cast, has a gradient that does not warn of the imaginary part it leaves out.
            moved = tf.signal.ifft2d(fields * tf.complex(excess, tf.zeros_like(excess)))
            canvases = canvases + self._views.spread(tf.reduce_sum(self._conjugate * moved, axis=0)) * self._share
        return canvases
