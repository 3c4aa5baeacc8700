"""What every built network can do, whatever its framework: numpy goes in, numpy comes out."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ptycho.backends import load
from ptycho.data.examples import Batch
from ptycho.data.normalisation import Normalisation
from ptycho.errors import ConfigError, DataError, ShapeError
from ptycho.nets.layers import Weights, check_weights, weight_shapes
from ptycho.nets.specification import NetworkKind, Specification
from ptycho.physics.propagation import ComplexArray, propagate
from ptycho.physics.shapes import check_inside

__all__ = [
    "GRADIENT_LIMIT",
    "Illumination",
    "Network",
    "build_network",
    "check_amplitudes",
    "check_batch",
    "check_places",
    "check_state",
    "check_values",
    "illuminate",
]

FRAMEWORKS = ("torch", "tensorflow")
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("float32", "float64")
GRADIENT_LIMIT = 1.0  # Euclidean norm of all gradients together, above which they are scaled down


@dataclass(frozen=True, eq=False)
class Illumination:
    """What lights an object and how it is measured, in normalised units.

    Attributes
    ----------
    probe
        (m, h, w) complex128, scaled so that Σ|FP|² over the valid pixels is h w / 4, the mean normalised intensity of
        a frame: the mean of |O|² over what is lit is then about 1, whatever the units of the guess, and also where
        a beam stop hides most of the light.
    mask
        (h, w) bool, True where the detector can be believed.
    normalisation
        Of the training split: normalised amplitude = s √k.
    """

    probe: ComplexArray
    mask: NDArray[np.bool_]
    normalisation: Normalisation

    def __post_init__(self) -> None:
        frame = self.normalisation.frame_shape
        if self.probe.ndim != 3 or self.probe.shape[1:] != frame or self.mask.shape != frame:
            raise ShapeError(
                f"illumination: expected probe (m, {frame[0]}, {frame[1]}) and mask {frame} for this normalisation, "
                f"found {self.probe.shape} and {self.mask.shape}"
            )

    def restrict(self, mask: NDArray[np.bool_] | None) -> Illumination:
        """Return the same light on a detector that is believed where a mask (h, w) allows it too; None allows all.

        Raises
        ------
        ShapeError
            If the mask is of another shape, or leaves no pixel.
        """
        if mask is None:
            return self
        if mask.shape != self.mask.shape:
            raise ShapeError(f"mask: expected {self.mask.shape}, that of the training, found {mask.shape}")
        both = self.mask & mask
        if not both.any():
            raise ShapeError(
                f"mask: expected a pixel of {mask.shape} that training and scan both believe, found none in common "
                f"among the training's {self.mask.sum()} and the scan's {mask.sum()}; correct one of the masks"
            )
        return replace(self, mask=both)


def illuminate(
    probe: ComplexArray, normalisation: Normalisation, mask: NDArray[np.bool_] | None = None
) -> Illumination:
    """Return the illumination by a probe (m, h, w) in any units; every pixel is believed without a mask.

    Raises
    ------
    ShapeError
        If shapes do not fit, or the probe is not finite or sends no light to a valid pixel.
    """
    h, w = normalisation.frame_shape
    light = Illumination(
        probe.astype(np.complex128), np.ones((h, w), np.bool_) if mask is None else mask, normalisation
    )
    power = float((np.abs(propagate(light.probe)[:, light.mask]) ** 2).sum())
    if not 0 < power < np.inf:
        raise ShapeError(
            f"probe: expected finite values with power > 0 on the valid pixels, found {power} in {probe.shape}"
        )
    return replace(light, probe=light.probe * math.sqrt(h * w / 4 / power))


class Network(Protocol):
    """A network in one framework, with its optimiser (Adam: Kingma & Ba, ICLR 2015)."""

    specification: Specification
    illumination: Illumination

    def predict(self, amplitudes: NDArray[np.floating], offsets: NDArray[np.float64]) -> ComplexArray:
        """Return objects (B, H, W, 1) of groups: amplitudes (B, h, w, C), offsets (B, C, 2)."""

    def loss(self, batch: Batch) -> float:
        """Return the loss of some examples."""

    def step(self, batch: Batch, rate: float) -> float:
        """Move the weights by one step of Adam; return the loss before it."""

    def weights(self) -> Weights:
        """Return the weights, by the names of `ptycho.nets.layers.start_weights`."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that the next step depends on, shaped as the weights: "weights/…" and Adam's memory of them."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a `state` of a network of the same specification, of either framework."""


def build_network(
    specification: Specification,
    illumination: Illumination,
    weights: Mapping[str, NDArray[np.floating]],
    *,
    framework: str = "torch",
    device: str = "auto",
    precision: str = "float32",
) -> Network:
    """Build a network, importing its framework now and not before.

    Parameters
    ----------
    specification, illumination, weights
        What it computes; weights as `ptycho.nets.layers.start_weights` names them.
    framework
        "torch" or "tensorflow".
    device
        "cpu", "cuda", or "auto": CUDA where there is one.
    precision
        "float32" or "float64".

    Raises
    ------
    ConfigError
        If there is no such framework, device or precision.
    DependencyError
        If the framework is not installed.
    ShapeError
        If weights or illumination are not those of the specification.
    """
    for name, value, choices in (
        ("framework", framework, FRAMEWORKS),
        ("device", device, DEVICES),
        ("precision", precision, PRECISIONS),
    ):
        if value not in choices:
            raise ConfigError(f"network: {name}: expected one of {', '.join(choices)}, found {value!r}")
    check_weights(specification, weights)
    if illumination.normalisation.frame_shape != specification.frame_shape:
        raise ShapeError(
            f"network: expected frames {specification.frame_shape}, found {illumination.normalisation.frame_shape}"
        )
    load(framework)
    module = importlib.import_module(f"ptycho.backends.{framework}.learner")
    network: Network = module.Learner(specification, illumination, weights, device=device, precision=precision)
    return network


def check_amplitudes(
    amplitudes: tuple[int, ...], offsets: tuple[int, ...], frame_shape: tuple[int, int], c: int
) -> None:
    """Raise unless amplitudes are (B, h, w, C), B > 0, and offsets (B, C, 2).

    Raises
    ------
    ShapeError
        With the shapes found and expected.
    """
    b = amplitudes[0] if amplitudes else 0
    if not b or amplitudes != (b, *frame_shape, c) or offsets != (b, c, 2):
        h, w = frame_shape
        raise ShapeError(
            f"amplitudes, offsets: expected (B, {h}, {w}, {c}) and (B, {c}, 2), found {amplitudes} and {offsets}"
        )


def check_values(amplitudes: NDArray[np.floating], mask: NDArray[np.bool_]) -> None:
    """Raise unless amplitudes (B, h, w, C) can have been measured where the mask (h, w) is True.

    Raises
    ------
    DataError
        If one is not finite, or below 0.
    """
    believed = amplitudes if mask.all() else np.where(mask[..., None], amplitudes, 0)
    if not (believed.min() >= 0 and believed.max() < np.inf):  # also false when there is a NaN
        raise DataError(
            f"amplitudes: expected finite values >= 0 on the valid pixels, found NaN, infinite or negative ones in "
            f"{amplitudes.shape}; mask what the detector cannot be believed"
        )


def check_places(offsets: NDArray[np.float64], frame_shape: tuple[int, int], canvas_shape: tuple[int, int]) -> None:
    """Raise unless frames at offsets (B, C, 2) lie on the canvas of their group: a graph cannot look.

    Raises
    ------
    ShapeError
        With the group and the frame in it.
    """
    start = [canvas // 2 - frame // 2 for canvas, frame in zip(canvas_shape, frame_shape, strict=True)]
    check_inside(np.floor(offsets + 0.5) + start, frame_shape, canvas_shape)


def check_batch(batch: Batch, specification: Specification) -> None:
    """Raise unless these are examples that a network can learn from.

    Raises
    ------
    ShapeError
        If amplitudes or offsets are of another shape, or a frame leaves the canvas of its example.
    DataError
        If labels are needed, and there are none.
    """
    shapes = batch.amplitudes.shape, batch.offsets.shape
    check_amplitudes(*shapes, specification.frame_shape, specification.overlap)
    check_places(batch.offsets, specification.frame_shape, specification.merged_shape)
    if specification.kind is NetworkKind.SUPERVISED and batch.targets is None:
        raise DataError("examples: expected targets, the patches of a known object, found none; make labels")


def check_state(
    state: Mapping[str, NDArray[Any]], specification: Specification, parts: Sequence[str]
) -> dict[str, dict[str, NDArray[Any]]]:
    """Return a network's state, keys "part/weight", by part; before the first step there are weights alone.

    The first part holds the weights; a part called "step" one number for each of them, every other one a moment of
    each weight, of its shape.

    Raises
    ------
    DataError
        If something is missing, or is not of such a network.
    """
    shapes = weight_shapes(specification)
    split: dict[str, dict[str, NDArray[Any]]] = {part: {} for part in parts}
    for key, value in state.items():
        part, _, name = key.partition("/")
        if part not in split or name not in shapes:
            raise DataError(f"checkpoint: expected {', '.join(parts)} of this network's weights, found {key!r}")
        expected = () if part == "step" else shapes[name]
        if value.shape != expected:
            raise DataError(f"checkpoint: {key}: expected {expected}, found {value.shape}")
        split[part][name] = value
    complete = {part: values for part, values in split.items() if values or part == parts[0]}
    if len(complete) not in {1, len(parts)} or any(len(values) != len(shapes) for values in complete.values()):
        raise DataError("checkpoint: expected the state of every weight, found part of it; begin the training anew")
    return complete
