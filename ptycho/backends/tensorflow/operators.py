"""The operators of `ptycho.physics` in TensorFlow: same names, arguments, shapes and errors; see there for each."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from ptycho.backends.tensorflow.windows import (
    add_blocks,
    as_tensor,
    check_inside_if_known,
    cut_blocks,
    float64,
    known_shape,
    sample_windows,
    spread_windows,
)
from ptycho.checks import parse_choice
from ptycho.physics.groups import SUPPORT_LIMIT
from ptycho.physics.shapes import check_axes, check_experiment, check_groups, check_patches, check_shifts
from ptycho.physics.translation import Interpolation

__all__ = [
    "accumulate_canvas",
    "accumulate_groups",
    "backpropagate",
    "diffract",
    "extract_patches",
    "merge_groups",
    "predict_intensity",
    "predict_patches",
    "propagate",
    "sample_groups",
    "scatter_patches",
    "shift_probe",
    "spread_groups",
    "sum_modes",
    "translate",
]

AXES = (-2, -1)
Shape = tuple[int, int]


def propagate(exit_wave: tf.Tensor) -> tf.Tensor:
    """Return F ψ of waves (..., h, w), DC at (h//2, w//2)."""
    return tf.signal.fftshift(tf.signal.fft2d(exit_wave), axes=AXES) / _root_pixels(exit_wave)


def backpropagate(far_field: tf.Tensor) -> tf.Tensor:
    """Return Fᴴ Ψ of far fields (..., h, w)."""
    return tf.signal.ifft2d(tf.signal.ifftshift(far_field, axes=AXES)) * _root_pixels(far_field)


def sum_modes(waves: tf.Tensor) -> tf.Tensor:
    """Return Σ_m |ψ_m|² (..., h, w) of waves or far fields (..., m, h, w)."""
    return tf.reduce_sum(tf.square(tf.math.real(waves)) + tf.square(tf.math.imag(waves)), axis=-3)


def shift_probe(probe: tf.Tensor, offsets: ArrayLike) -> tf.Tensor:
    """Return a probe (..., h, w) moved periodically by each offset (n, 2): (n, ..., h, w)."""
    h, w = probe.shape[-2:]
    ramps = tf.cast(_ramps(float64(offsets), (h, w)), probe.dtype)
    ramps = tf.reshape(ramps, [-1, *[1] * (len(probe.shape) - 2), h, w])
    return tf.signal.ifft2d(tf.signal.fft2d(probe) * ramps)


def translate(images: tf.Tensor, shifts: ArrayLike, *, kind: str = Interpolation.BILINEAR) -> tf.Tensor:
    """Move images (..., h, w) by shifts (..., 2), zero outside."""
    moves = float64(shifts)
    check_shifts(images.shape, moves.shape)
    h, w = images.shape[-2:]
    flat, moves = tf.reshape(images, [-1, h, w]), tf.reshape(moves, [-1, 2])
    if parse_choice("translate: kind", kind, Interpolation) is Interpolation.BILINEAR:
        moved = sample_windows(flat, tf.range(tf.shape(flat)[0]), -moves, (h, w))
    else:
        limit = tf.constant([h, w], tf.float64)
        wave = flat if images.dtype.is_complex else tf.complex(flat, tf.zeros_like(flat))
        spectra = tf.signal.fft2d(tf.pad(wave, [[0, 0], [0, h], [0, w]]))
        ramps = tf.cast(_ramps(tf.clip_by_value(moves, -limit, limit), (2 * h, 2 * w)), spectra.dtype)
        moved = tf.signal.ifft2d(spectra * ramps)[:, :h, :w]
        moved = moved if images.dtype.is_complex else tf.math.real(moved)
    return tf.reshape(moved, known_shape(images))


def extract_patches(canvas: tf.Tensor, corners: ArrayLike, frame_shape: Shape) -> tf.Tensor:
    """Return the patches (n, h, w) of a canvas (H, W) at whole-pixel corners (n, 2)."""
    whole = tf.cast(corners, tf.int64)
    check_inside_if_known(whole, frame_shape, (canvas.shape[0], canvas.shape[1]))
    return cut_blocks(canvas[None], tf.zeros_like(whole[:, 0]), whole, frame_shape)


def scatter_patches(patches: tf.Tensor, corners: ArrayLike, canvas_shape: Shape) -> tf.Tensor:
    """Add patches (n, h, w) into an empty canvas (H, W) at whole-pixel corners (n, 2)."""
    whole = tf.cast(corners, tf.int64)
    check_inside_if_known(whole, (patches.shape[1], patches.shape[2]), canvas_shape)
    return add_blocks(patches, tf.zeros_like(whole[:, 0]), whole, (1, *canvas_shape))[0]


def diffract(obj: tf.Tensor, origin: ArrayLike, probe: tf.Tensor, positions: ArrayLike) -> tf.Tensor:
    """Return the far fields F ψ_jm (n, m, h, w) of an object (H, W) under modes (m, h, w) at positions (n, 2)."""
    places = float64(positions)
    check_experiment(obj.shape, probe.shape, places.shape)
    h, w = probe.shape[1:]
    index = places - float64(origin)
    whole = tf.floor(index + 0.5)
    corners = tf.cast(whole, tf.int64) - tf.constant([h // 2, w // 2], tf.int64)
    patches = extract_patches(obj, corners, (h, w))
    return propagate(shift_probe(probe, index - whole) * patches[:, None])


def predict_intensity(
    obj: tf.Tensor,
    origin: ArrayLike,
    probe: tf.Tensor,
    positions: ArrayLike,
    *,
    gain: float = 1.0,
    background: ArrayLike = 0.0,
    mask: ArrayLike | None = None,
) -> tf.Tensor:
    """Return λ (n, h, w) = gain · Σ_m |F ψ_jm|² + background, 0 off the mask."""
    return _detect(diffract(obj, origin, probe, positions), gain, background, mask)


def predict_patches(
    patches: tf.Tensor,
    probe: tf.Tensor,
    *,
    gain: float = 1.0,
    background: ArrayLike = 0.0,
    mask: ArrayLike | None = None,
) -> tf.Tensor:
    """Return λ (..., h, w) of object patches (..., h, w) that lie under the modes (m, h, w) already."""
    check_patches(patches.shape, probe.shape)
    return _detect(propagate(probe * patches[..., None, :, :]), gain, background, mask)


def sample_groups(canvases: tf.Tensor, offsets: ArrayLike, frame_shape: Shape) -> tf.Tensor:
    """Cut the patches (B, h, w, C) of each group from its canvas (B, H, W, 1) at true offsets (B, C, 2)."""
    places = float64(offsets)
    check_axes("canvases", canvases.shape, "(B, H, W, 1)")
    b, height, width, _ = known_shape(canvases)
    c = places.shape[1]
    check_groups((canvases.shape[0], *frame_shape, c), places.shape)
    owners, points = _place(places, frame_shape, (height, width))
    windows = sample_windows(canvases[..., 0], owners, points, frame_shape)
    return tf.transpose(tf.reshape(windows, [b, c, *frame_shape]), [0, 2, 3, 1])


def spread_groups(patches: tf.Tensor, offsets: ArrayLike, padded_shape: Shape) -> tf.Tensor:
    """Add the patches (B, h, w, C) of each group into an empty canvas (B, H, W, 1)."""
    places = float64(offsets)
    check_groups(patches.shape, places.shape)
    b, h, w, c = known_shape(patches)
    owners, points = _place(places, (h, w), padded_shape)
    windows = tf.reshape(tf.transpose(patches, [0, 3, 1, 2]), [b * c, h, w])
    return spread_windows(windows, owners, points, (b, *padded_shape))[..., None]


def accumulate_groups(
    patches: tf.Tensor, offsets: ArrayLike, weights: ArrayLike, padded_shape: Shape
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return Σ_k T_kᴴ(w O_k) and Σ_k T_kᴴ w, each (B, H, W, 1)."""
    places, w = float64(offsets), as_tensor(weights, patches.dtype.real_dtype)
    check_groups(patches.shape, places.shape, w.shape)
    numerator = spread_groups(tf.cast(w[..., None], patches.dtype) * patches, places, padded_shape)
    everywhere = tf.broadcast_to(w[..., None], tf.shape(patches))
    return numerator, spread_groups(tf.ensure_shape(everywhere, patches.shape), places, padded_shape)


def merge_groups(
    patches: tf.Tensor, offsets: ArrayLike, weights: ArrayLike, padded_shape: Shape
) -> tuple[tf.Tensor, tf.Tensor]:
    """Merge the patches of each group: O = Σ_k T_kᴴ(w O_k) / Σ_k T_kᴴ w (B, H, W, 1), and its support."""
    numerator, denominator = accumulate_groups(patches, offsets, weights, padded_shape)
    largest = tf.reduce_max(denominator, axis=(1, 2), keepdims=True)
    support = (denominator >= SUPPORT_LIMIT * largest) & (denominator > 0)
    merged = numerator / tf.cast(tf.where(support, denominator, tf.ones_like(denominator)), numerator.dtype)
    return tf.where(support, merged, tf.zeros_like(merged)), support


def accumulate_canvas(
    patches: tf.Tensor, positions: ArrayLike, weights: ArrayLike, origin: ArrayLike, canvas_shape: Shape
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return Σ_j T_jᴴ(w O_j) and Σ_j T_jᴴ w on the one canvas of all groups, each (H, W)."""
    places = float64(positions)
    check_groups(patches.shape, places.shape)
    b, h, w, c = known_shape(patches)
    joined = tf.reshape(tf.transpose(patches, [1, 2, 0, 3]), [1, h, w, b * c])
    offsets = places - float64(origin) - float64([size // 2 for size in canvas_shape])
    sums = accumulate_groups(joined, tf.reshape(offsets, [1, b * c, 2]), weights, canvas_shape)
    return sums[0][0, ..., 0], sums[1][0, ..., 0]


def _place(offsets: tf.Tensor, frame_shape: Shape, canvas_shape: Shape) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the group (B·C,) of each patch and the index (B·C, 2) of its sample (0, 0) on that group's canvas."""
    start = [canvas // 2 - frame // 2 for canvas, frame in zip(canvas_shape, frame_shape, strict=True)]
    points = offsets + tf.constant(start, tf.float64)
    check_inside_if_known(points, frame_shape, canvas_shape)
    groups = tf.range(tf.shape(offsets)[0])
    return tf.repeat(groups, offsets.shape[1]), tf.reshape(points, [-1, 2])


def _ramps(offsets: tf.Tensor, shape: Shape) -> tf.Tensor:
    """Return the ramps (n, h, w) complex128 that spectra with DC at the corner are multiplied by."""
    phases = (
        -2 * math.pi * offsets[:, axis, None] * tf.constant(np.fft.fftfreq(size)) for axis, size in enumerate(shape)
    )
    ramp_y, ramp_x = (tf.complex(tf.cos(phase), tf.sin(phase)) for phase in phases)
    return ramp_y[:, :, None] * ramp_x[:, None, :]


def _root_pixels(wave: tf.Tensor) -> tf.Tensor:
    """Return √(h w) in the precision of waves (..., h, w): TensorFlow's transforms carry no norm."""
    return tf.constant(math.sqrt(wave.shape[-2] * wave.shape[-1]), wave.dtype)


def _detect(fields: tf.Tensor, gain: float, background: ArrayLike, mask: ArrayLike | None) -> tf.Tensor:
    """Return gain · Σ_m |F ψ_m|² + background of far fields (..., m, h, w), 0 off the mask."""
    power = sum_modes(fields)
    expected = gain * power + as_tensor(background, power.dtype)
    return expected if mask is None else expected * tf.cast(mask, power.dtype)
