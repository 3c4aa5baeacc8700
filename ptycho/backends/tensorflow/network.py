"""The network of a specification in Keras on TensorFlow: `ptycho.nets.specification` says what it computes."""

from __future__ import annotations

import math

import keras
import tensorflow as tf
from numpy.typing import ArrayLike

from ptycho.backends.tensorflow import losses
from ptycho.backends.tensorflow.consistency import Projection, light_groups, predict_groups
from ptycho.backends.tensorflow.operators import accumulate_groups, sample_groups, sum_modes
from ptycho.backends.tensorflow.windows import float64, known_shape
from ptycho.nets.layers import list_layers
from ptycho.nets.specification import MERGE_FLOOR, NetworkKind, Specification, TrainingLoss
from ptycho.physics.statistics import LAMBDA_FLOOR

__all__ = ["Correction", "UnrolledNetwork"]


class Correction(keras.Layer):
    """The convolutions of one stage; see `ptycho.nets.layers`."""

    def __init__(self, specification: Specification, *, name: str, dtype: str) -> None:
        super().__init__(name=name, dtype=dtype)
        for layer in list_layers(specification):
            convolution = keras.layers.Conv2D(
                layer.outputs,
                layer.size,
                strides=layer.stride,
                padding="same" if layer.stride == 1 else "valid",
                data_format="channels_last",
                kernel_initializer="zeros",  # those that draw numbers move the generator of the process
                name=layer.name,
                dtype=dtype,
            )
            convolution.build((None, None, None, layer.inputs))
            setattr(self, layer.name, convolution)
        self.built = True

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Return corrections (B, H, W, 2) of features (B, H, W, 5)."""
        x = _gelu(self.first(tf.nn.space_to_depth(features, 2)))
        x = x + _gelu(self.fine(x))
        y = _gelu(self.down(x))
        y = y + _gelu(self.coarse(y))
        y = tf.nn.depth_to_space(tf.tile(self.up(y), [1, 1, 1, 4]), 2)  # each pixel becomes 2 × 2 of its kind
        x = _gelu(self.join(tf.concat((y, x), axis=-1)))
        return tf.nn.depth_to_space(self.last(x), 2)


class UnrolledNetwork(keras.Model):
    """Objects of groups from their amplitudes.

    Parameters
    ----------
    specification
        What to compute.
    probe
        (m, h, w) complex, normalised; its precision is the network's.
    mask
        (h, w) bool, or None when every pixel is believed.
    scale
        s: normalised amplitude = s √k.
    """

    def __init__(self, specification: Specification, probe: tf.Tensor, mask: tf.Tensor | None, scale: float) -> None:
        real = probe.dtype.real_dtype.name
        super().__init__(name="unrolled", dtype=real, autocast=False)  # offsets are float64 in every network
        self.specification = specification
        self.stages = [Correction(specification, name=f"stage{i}", dtype=real) for i in range(specification.stages)]
        self.probe = probe
        self.mask = mask
        self.scale = scale
        self.built = True

    def call(self, amplitudes: tf.Tensor, offsets: ArrayLike) -> tf.Tensor:
        """Return objects (B, H, W, 1) of amplitudes (B, h, w, C) at offsets (B, C, 2)."""
        spec = self.specification
        waves, whole = light_groups(self.probe, offsets)
        canvases = tf.ones((known_shape(amplitudes)[0], *spec.canvas_shape, 1), self.probe.dtype)
        projection = Projection(amplitudes, whole, waves, spec.canvas_shape, mask=self.mask)
        for stage in self.stages:
            before = projection.move(canvases, steps=spec.projections - 1)
            canvases = projection.move(before)
            canvases = canvases + self._correct(stage, canvases, before, projection.light)
        return canvases

    def compare(self, amplitudes: tf.Tensor, offsets: ArrayLike, targets: tf.Tensor | None = None) -> tf.Tensor:
        """Return the training loss of examples: what `call` takes, with `overlap` frames each."""
        spec = self.specification
        places = float64(offsets)
        canvases = self._merge(amplitudes, places)
        waves, whole = light_groups(self.probe, places)
        if spec.kind is NetworkKind.SUPERVISED:
            patches = sample_groups(canvases, whole, spec.frame_shape)
            light = sum_modes(self.probe)[..., None]
            weight = tf.cast(light, patches.dtype)
            return losses.complex_mae(targets * weight, patches * weight) / tf.reduce_mean(light)
        model = tf.transpose(predict_groups(canvases, whole, waves, mask=self.mask), (0, 3, 1, 2))
        measured = tf.transpose(tf.square(amplitudes), (0, 3, 1, 2))
        if spec.loss is TrainingLoss.AMPLITUDE:
            return losses.amplitude_mse(measured, model + LAMBDA_FLOOR, self.mask)
        # In photons, and double: terms of a million photons a pixel differ by less than one.
        unit = self.scale**2
        counts, expected = (tf.cast(power, tf.float64) / unit for power in (measured, model))
        excess = losses.poisson_nll(counts, expected, self.mask) - losses.poisson_nll(counts, counts, self.mask)
        return excess * unit

    def _merge(self, amplitudes: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
        """Return the one object that the frames of each example see, (B, *merged_shape, 1)."""
        spec = self.specification
        if spec.overlap == spec.group_size:
            return self(amplitudes, offsets)
        _, h, w, c = amplitudes.shape
        whole = tf.floor(offsets + 0.5)
        singles = tf.reshape(tf.transpose(amplitudes, (0, 3, 1, 2)), (-1, h, w, 1))
        objects = self(singles, tf.reshape(offsets - whole, (-1, 1, 2)))
        patches = sample_groups(objects, tf.reshape(tf.zeros_like(offsets), (-1, 1, 2)), (h, w))
        patches = tf.transpose(tf.reshape(patches, (-1, c, h, w)), (0, 2, 3, 1))
        sums, weights = accumulate_groups(patches, whole, sum_modes(self.probe), spec.merged_shape)
        floor = MERGE_FLOOR * tf.reduce_max(weights, axis=(1, 2), keepdims=True)
        return sums / tf.cast(weights + floor, sums.dtype)

    def _correct(self, stage: Correction, canvases: tf.Tensor, before: tf.Tensor, light: tf.Tensor) -> tf.Tensor:
        """Return the correction (B, H, W, 1) of a stage: 0 outside the window."""
        (height, width), (rows, columns) = self.specification.canvas_shape, self.specification.window_shape
        top, left = (height - rows) // 2, (width - columns) // 2
        now, then, lit = (x[:, top : top + rows, left : left + columns] for x in (canvases, before, light))
        change = now - then
        parts = (tf.math.real(now) - 1, tf.math.imag(now), tf.math.real(change), tf.math.imag(change))
        features = tf.concat((*parts, tf.sqrt(lit)), axis=-1)
        margins = ((0, 0), (top, height - rows - top), (left, width - columns - left), (0, 0))
        found = tf.pad(stage(features), margins)
        return tf.complex(found[..., :1], found[..., 1:])


def _gelu(x: tf.Tensor) -> tf.Tensor:
    """Return the exact GELU; that of TensorFlow knows √2 in single precision only."""
    return 0.5 * x * (1 + tf.math.erf(x * math.sqrt(0.5)))
