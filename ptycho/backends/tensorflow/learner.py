"""A network in TensorFlow that predicts and learns, numpy in and numpy out: `ptycho.nets.network.Network`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ptycho.backends.tensorflow.network import UnrolledNetwork
from ptycho.backends.tensorflow.windows import as_tensor, float64
from ptycho.data.examples import Batch
from ptycho.errors import ConfigError
from ptycho.nets.layers import Weights, list_layers
from ptycho.nets.network import (
    GRADIENT_LIMIT,
    Illumination,
    check_amplitudes,
    check_batch,
    check_places,
    check_state,
    check_values,
)
from ptycho.nets.specification import NetworkKind, Specification

__all__ = ["Learner"]

DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8  # of Adam, as torch has them
NORM_FLOOR = 1e-6  # beside the norm that gradients are divided by, as torch has it


class Learner:
    """A `Network`; see there. `module` is the Keras model itself."""

    def __init__(
        self,
        specification: Specification,
        illumination: Illumination,
        weights: Mapping[str, NDArray[np.floating]],
        *,
        device: str = "auto",
        precision: str = "float32",
    ) -> None:
        self.specification = specification
        self.illumination = illumination
        _check_keras()
        self._device = _choose_device(device)
        self._real = tf.as_dtype(precision)
        self._complex = tf.complex128 if self._real is tf.float64 else tf.complex64
        with tf.device(self._device):
            probe = tf.constant(illumination.probe, self._complex)
            mask = None if illumination.mask.all() else tf.constant(illumination.mask)
            self.module = UnrolledNetwork(specification, probe, mask, illumination.normalisation.scale)
            self._named = self._name_variables()
            self._load(weights)
            self._adam = _Adam(list(self._named.values()))
        examples = self._describe(specification.overlap)
        if specification.kind is NetworkKind.SUPERVISED:
            examples.append(tf.TensorSpec(examples[0].shape, self._complex))
        self._predict = self._graph(self.module, self._describe(specification.group_size))
        self._compare = self._graph(self.module.compare, examples)
        self._learn = self._graph(self._move, [tf.TensorSpec((), tf.float64), *examples])

    def predict(self, amplitudes: NDArray[np.floating], offsets: NDArray[np.float64]) -> NDArray[np.complexfloating]:
        """Return objects (B, H, W, 1) of groups."""
        spec = self.specification
        check_amplitudes(amplitudes.shape, offsets.shape, spec.frame_shape, spec.group_size)
        check_values(amplitudes, self.illumination.mask)
        check_places(offsets, spec.frame_shape, spec.canvas_shape)
        objects: NDArray[np.complexfloating] = self._predict(*self._tensors(amplitudes, offsets)).numpy()
        return objects

    def loss(self, batch: Batch) -> float:
        """Return the loss of some examples."""
        return float(self._compare(*self._examples(batch)))

    def step(self, batch: Batch, rate: float) -> float:
        """Move the weights by one step of Adam; return the loss before it."""
        return float(self._learn(tf.constant(rate, tf.float64), *self._examples(batch)))

    def weights(self) -> Weights:
        """Return the weights."""
        return {name: variable.numpy() for name, variable in self._named.items()}

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the weights, and Adam's step and moments."""
        parts: dict[str, Sequence[tf.Variable]] = {"weights": list(self._named.values())}
        if self._adam.count.numpy():
            steps = [self._adam.count] * len(self._named)
            parts |= {"step": steps, "exp_avg": self._adam.means, "exp_avg_sq": self._adam.squares}
        return {
            f"{part}/{name}": np.asarray(variable.numpy())
            for part, variables in parts.items()
            for name, variable in zip(self._named, variables, strict=True)
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a `state`."""
        parts = check_state(state, self.specification, ("weights", "step", "exp_avg", "exp_avg_sq"))
        self._load(parts["weights"])
        steps = parts.get("step", {})
        self._adam.count.assign(next(iter(steps.values())) if steps else 0)
        for part, moments in (("exp_avg", self._adam.means), ("exp_avg_sq", self._adam.squares)):
            values = parts.get(part, {})
            for name, moment in zip(self._named, moments, strict=True):
                moment.assign(as_tensor(values[name], self._real) if values else tf.zeros_like(moment))

    def _move(self, rate: tf.Tensor, *examples: tf.Tensor) -> tf.Tensor:
        """Take one step; return the loss before it."""
        with tf.GradientTape() as tape:
            loss = self.module.compare(*examples)
        self._adam.step(_clip(tape.gradient(loss, self._adam.variables)), rate)
        return loss

    def _describe(self, c: int) -> list[tf.TensorSpec]:
        """Return what amplitudes and offsets of any number of groups of C frames look like."""
        frame_shape = self.specification.frame_shape
        return [tf.TensorSpec((None, *frame_shape, c), self._real), tf.TensorSpec((None, c, 2), tf.float64)]

    def _graph(self, function: Callable[..., tf.Tensor], signature: list[tf.TensorSpec]) -> Callable[..., tf.Tensor]:
        """Return one graph of a function, made at the first call."""

        def run_there(*tensors: tf.Tensor) -> tf.Tensor:
            with tf.device(self._device):
                return function(*tensors)

        graph: Callable[..., tf.Tensor] = tf.function(run_there, signature, autograph=False)
        return graph

    def _examples(self, batch: Batch) -> list[tf.Tensor]:
        spec = self.specification
        check_batch(batch, spec)
        tensors = self._tensors(batch.amplitudes, batch.offsets)
        if batch.targets is None or spec.kind is not NetworkKind.SUPERVISED:
            return tensors
        with tf.device(self._device):
            return [*tensors, as_tensor(batch.targets, self._complex)]

    def _tensors(self, amplitudes: NDArray[np.floating], offsets: NDArray[np.float64]) -> list[tf.Tensor]:
        with tf.device(self._device):
            return [as_tensor(amplitudes, self._real), float64(offsets)]

    def _name_variables(self) -> dict[str, tf.Variable]:
        """Return the variables by their published names."""
        return {
            f"{index}.{layer.name}.{part}": getattr(getattr(stage, layer.name), part).value
            for index, stage in enumerate(self.module.stages)
            for layer in list_layers(self.specification)
            for part in layer.shapes
        }

    def _load(self, weights: Mapping[str, NDArray[np.floating]]) -> None:
        for name, variable in self._named.items():
            variable.assign(as_tensor(weights[name], self._real))


class _Adam:
    """Adam as torch has it, so that either framework goes on where the other stopped.

    Keras's adds ε before the moments' bias is taken off, which moves weights of small gradients differently, keeps
    its rate in float32, and gives its moments no public names.
    """

    def __init__(self, variables: Sequence[tf.Variable]) -> None:
        self.variables = variables
        self.count = tf.Variable(0.0, trainable=False, dtype=tf.float32)
        self.means, self.squares = ([tf.Variable(tf.zeros_like(v), trainable=False) for v in variables] for _ in "mv")

    def step(self, gradients: Sequence[tf.Tensor], rate: tf.Tensor) -> None:
        """Move the variables against their gradients: θ ← θ − rate m̂ / (√v̂ + ε)."""
        count = tf.cast(self.count.assign_add(1), tf.float64)
        for variable, gradient, mean, square in zip(self.variables, gradients, self.means, self.squares, strict=True):
            kind = variable.dtype
            mean.assign_add((1 - DECAY) * (gradient - mean))
            square.assign(SQUARE_DECAY * square + (1 - SQUARE_DECAY) * tf.square(gradient))
            root = tf.sqrt(square) / tf.cast(tf.sqrt(1 - SQUARE_DECAY**count), kind) + EPSILON
            variable.assign_sub(tf.cast(rate / (1 - DECAY**count), kind) * mean / root)


def _clip(gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return gradients scaled down together to the limit of their common norm."""
    factor = tf.minimum(GRADIENT_LIMIT / (tf.linalg.global_norm(gradients) + NORM_FLOOR), 1)
    return [gradient * factor for gradient in gradients]


def _check_keras() -> None:
    """Raise unless Keras builds on TensorFlow; it can be told to use other frameworks."""
    if (found := keras.backend.backend()) != "tensorflow":
        raise ConfigError(f"keras: expected the backend tensorflow, found {found}; set KERAS_BACKEND=tensorflow")


def _choose_device(device: str) -> str:
    """Return TensorFlow's name of a device; "auto" is a GPU where there is one."""
    found = bool(tf.config.list_logical_devices("GPU"))
    if device == "cuda" and not found:
        raise ConfigError("device: expected a CUDA device for tensorflow, found none; use --device cpu or auto")
    return "/GPU:0" if found and device != "cpu" else "/CPU:0"
