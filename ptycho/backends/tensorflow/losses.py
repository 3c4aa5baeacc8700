"""The losses of `ptycho.physics.losses` in TensorFlow: same names, formulas and reductions; see there for each."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from numpy.typing import ArrayLike

from ptycho.physics.shapes import check_frames, check_shape
from ptycho.physics.statistics import LAMBDA_FLOOR, SERIES_FROM, deviance_table

__all__ = ["amplitude_mae", "amplitude_mse", "complex_mae", "deviance_ratio", "poisson_nll", "total_variation"]


def poisson_nll(
    counts: tf.Tensor, model: tf.Tensor, mask: ArrayLike | None = None, *, constant: bool = False
) -> tf.Tensor:
    """Return mean(λ' − k ln λ'), λ' = λ + 1e-6, and ln k! if asked for."""
    k, lam, mask = _valid(counts, model, mask)
    floored = lam + LAMBDA_FLOOR
    terms = floored - k * tf.math.log(floored)
    return _mean(terms + tf.math.lgamma(k + 1) if constant else terms, mask)


def amplitude_mae(counts: tf.Tensor, model: tf.Tensor, mask: ArrayLike | None = None) -> tf.Tensor:
    """Return mean |√k − √λ|."""
    k, lam, mask = _valid(counts, model, mask)
    return _mean(tf.abs(tf.sqrt(k) - _root(lam)), mask)


def amplitude_mse(counts: tf.Tensor, model: tf.Tensor, mask: ArrayLike | None = None) -> tf.Tensor:
    """Return mean (√k − √λ)²."""
    k, lam, mask = _valid(counts, model, mask)
    return _mean(tf.square(tf.sqrt(k) - _root(lam)), mask)


def deviance_ratio(counts: tf.Tensor, model: tf.Tensor, mask: ArrayLike | None = None) -> tf.Tensor:
    """Return Σ 2[λ' − k + k ln(k/λ')] over its expectation for k ~ Poisson(λ'), in float64."""
    k, lam, mask = _valid(tf.cast(counts, tf.float64), tf.cast(model, tf.float64), mask)
    floored = lam + LAMBDA_FLOOR
    terms = 2 * (floored - k + tf.math.xlogy(k, k) - k * tf.math.log(floored))
    return _mean(terms, mask) / _mean(_expected_deviance(floored), mask)


def total_variation(images: tf.Tensor) -> tf.Tensor:
    """Return mean |Δ_y O| + mean |Δ_x O| of images (..., h, w)."""
    down = images[..., 1:, :] - images[..., :-1, :]
    right = images[..., 1:] - images[..., :-1]
    return tf.reduce_mean(tf.abs(down)) + tf.reduce_mean(tf.abs(right))


def complex_mae(truth: tf.Tensor, estimate: tf.Tensor, mask: ArrayLike | None = None) -> tf.Tensor:
    """Return mean |O − Ô| over valid pixels."""
    check_shape("estimate", estimate.shape, truth.shape, "compare images of one shape")
    mask = _known(truth, estimate, mask)
    difference = truth - estimate
    return _mean(tf.abs(difference if mask is None else tf.where(mask, difference, 0)), mask)


def _known(counts: tf.Tensor, model: tf.Tensor, mask: ArrayLike | None) -> tf.Tensor | None:
    """Return the mask as a tensor, once all shapes fit."""
    mask = None if mask is None else tf.cast(mask, tf.bool)
    check_frames(counts.shape, model.shape, None if mask is None else mask.shape)
    return mask


def _valid(counts: tf.Tensor, model: tf.Tensor, mask: ArrayLike | None) -> tuple[tf.Tensor, tf.Tensor, Any]:
    """Return k and λ, both in the precision of λ, with 1 on invalid pixels, and the mask."""
    mask = _known(counts, model, mask)
    counts = tf.cast(counts, model.dtype)
    if mask is None:
        return counts, model, None
    return tf.where(mask, counts, tf.ones_like(counts)), tf.where(mask, model, tf.ones_like(model)), mask


def _root(lam: tf.Tensor) -> tf.Tensor:
    """Return √λ with gradient 0, not infinity, where λ is 0."""
    lit = lam > 0
    return tf.where(lit, tf.sqrt(tf.where(lit, lam, tf.ones_like(lam))), tf.zeros_like(lam))


def _mean(terms: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """Return the mean over all valid pixels of all frames."""
    if mask is None:
        return tf.reduce_mean(terms)
    weight = tf.broadcast_to(tf.cast(mask, terms.dtype), tf.shape(terms))
    return tf.reduce_sum(terms * weight) / tf.reduce_sum(weight)


def _expected_deviance(lam: tf.Tensor) -> tf.Tensor:
    """Port of `ptycho.physics.statistics.expected_deviance`."""
    nodes, table = (tf.constant(values) for values in deviance_table())
    last = len(nodes) - 1
    root = tf.sqrt(lam)
    cell = tf.cast(tf.sqrt(tf.stop_gradient(root) / SERIES_FROM**0.5) * last, tf.int32)
    cell = tf.clip_by_value(cell, 0, last - 1)
    left, right = tf.gather(nodes, cell), tf.gather(nodes, cell + 1)
    low, high = tf.gather(table, cell), tf.gather(table, cell + 1)
    inverse = 1 / tf.maximum(lam, SERIES_FROM)
    between = low + (root - left) / (right - left) * (high - low)
    return tf.where(lam < SERIES_FROM, between, 1 + inverse / 6 + inverse**2 / 6)
