"""The convolutions of a network, by name, and the weights they start from: the same in either framework.

One stage is a U-Net on half the resolution of the canvas. Its features, 5 a pixel, are Re O − 1, Im O, the real and
imaginary part of the last step's change, and the root of the light; blocks of 2 × 2 pixels become 20 channels
(order: row in the block, column, feature). All but the last convolution pass through the exact GELU.

    x = first(features)            x = x + fine(x)
    y = down(x)                    y = y + coarse(y)
    x = join([nearest 2×(up(y)), x])    (up without activation)
    correction = last(x): 8 channels, blocks of 2 × 2 pixels of (Re, Im)

Edges are padded with zeros so that sizes stay ("same"); `down` takes blocks of 2 × 2 without padding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.checks import check_whole
from ptycho.errors import ShapeError
from ptycho.nets.specification import Specification

__all__ = ["Layer", "Weights", "check_weights", "list_layers", "start_weights", "weight_shapes"]

FEATURES = 5

Weights = dict[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Layer:
    """One convolution: `size` × `size`, and its stride; kernels are (size, size, inputs, outputs)."""

    name: str
    size: int
    stride: int
    inputs: int
    outputs: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of its two weights, by the last part of their names."""
        return {"kernel": (self.size, self.size, self.inputs, self.outputs), "bias": (self.outputs,)}


def list_layers(specification: Specification) -> tuple[Layer, ...]:
    """Return the convolutions of one stage; all stages have the same."""
    f = specification.filters
    return (
        Layer("first", 3, 1, 4 * FEATURES, f),
        Layer("fine", 3, 1, f, f),
        Layer("down", 2, 2, f, 2 * f),
        Layer("coarse", 3, 1, 2 * f, 2 * f),
        Layer("up", 1, 1, 2 * f, f),
        Layer("join", 3, 1, 2 * f, f),
        Layer("last", 3, 1, f, 8),
    )


def start_weights(specification: Specification, seed: int = 0) -> Weights:
    """Return the weights training starts from, float32: evenly drawn from ±1/√(inputs of a sum), `last` 0.

    With `last` at 0 an untrained network returns what its projections alone find. Weights are named
    "stage.layer.kernel" and "stage.layer.bias", stages from 0.
    """
    rng = np.random.default_rng(check_whole("network: seed", seed, 0))
    weights: Weights = {}
    for stage in range(specification.stages):
        for layer in list_layers(specification):
            bound = 0.0 if layer.name == "last" else 1 / math.sqrt(layer.size**2 * layer.inputs)
            for part, shape in layer.shapes.items():
                weights[f"{stage}.{layer.name}.{part}"] = rng.uniform(-bound, bound, shape).astype(np.float32)
    return weights


def weight_shapes(specification: Specification) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all weights, by name."""
    return {
        f"{stage}.{layer.name}.{part}": shape
        for stage in range(specification.stages)
        for layer in list_layers(specification)
        for part, shape in layer.shapes.items()
    }


def check_weights(specification: Specification, weights: Mapping[str, NDArray[Any]]) -> None:
    """Raise unless the weights are those of a specification, all finite.

    Raises
    ------
    ShapeError
        With the name, the shape found and the shape expected.
    """
    expected = weight_shapes(specification)
    if set(weights) != set(expected):
        missing, unknown = sorted(set(expected) - set(weights)), sorted(set(weights) - set(expected))
        raise ShapeError(f"weights: expected those of the specification; missing {missing}, unknown {unknown}")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise ShapeError(f"weights: {name}: expected {shape}, found {weights[name].shape}")
        if not np.isfinite(weights[name]).all():
            raise ShapeError(f"weights: {name}: expected finite values, found NaN or infinity")
