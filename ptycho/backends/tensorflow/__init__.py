"""The operators in TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ptycho.backends.tensorflow import consistency, losses, operators

__all__ = ["asarray", "consistency", "losses", "operators", "to_numpy"]


def asarray(array: NDArray[Any]) -> tf.Tensor:
    """Return a tensor with the values and the dtype of an array."""
    return tf.convert_to_tensor(np.asarray(array))


def to_numpy(tensor: tf.Tensor) -> NDArray[Any]:
    """Return a tensor's values, from any device."""
    values: NDArray[Any] = tf.convert_to_tensor(tensor).numpy()
    return values
