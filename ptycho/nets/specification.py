"""What a network is: a record of plain values from which either framework builds the same function."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ptycho.checks import check_whole, parse_choice
from ptycho.errors import ConfigError, DataError, ShapeError
from ptycho.physics.canvas import LARGEST_CANVAS
from ptycho.physics.groups import padded_shape
from ptycho.physics.propagation import ComplexArray, sum_modes

__all__ = [
    "MERGE_FLOOR",
    "OVERLAP",
    "NetworkKind",
    "Specification",
    "TrainingLoss",
    "specify",
]

CANVAS_MULTIPLE = 4  # two halvings of the grid
OVERLAP = 4  # frames whose objects are merged in training, where a network sees one frame at a time
MERGE_FLOOR = 1e-4  # of the largest weight of a merge in training: what no frame lights is 0
LIT_SHARE = 0.97  # of the probe's power: a network corrects the part of the canvas that this much can reach

Shape = tuple[int, int]


class NetworkKind(StrEnum):
    """What a network is trained on."""

    PINN = "pinn"  # diffraction alone: its object must predict the measured frames
    SUPERVISED = "supervised"  # labels: patches of a known object


class TrainingLoss(StrEnum):
    """How predicted and measured frames are compared."""

    AMPLITUDE = "amplitude"  # mean (√k − √λ)²
    POISSON = "poisson"  # mean of the negative log-likelihood of counts


@dataclass(frozen=True)
class Specification:
    """A network that starts from an object of 1 and improves it in stages.

    A stage takes `projections` steps of `ptycho.physics.consistency.Projection` towards the measured
    amplitudes; then a small convolutional network (`ptycho.nets.layers`), shown the object, its last change and
    the light, adds a complex correction. Unrolled optimisation with learned steps: Gregor & LeCun (ICML 2010);
    a network between the steps of phase retrieval, there a denoiser: Metzler et al. (ICML 2018).

    Attributes
    ----------
    kind
        What it is trained on.
    gridsize
        A group has C = gridsize² frames.
    frame_shape
        (h, w) of a frame.
    canvas_shape
        (H, W) of a group's object, multiples of 4.
    window_shape
        Of the central part that the convolutions correct, multiples of 4.
    merged_shape
        Of the object that the frames of one training example see together; `canvas_shape` unless `overlap` > C.
    stages, projections
        How many stages, and steps in each.
    filters
        Channels at half the resolution; twice as many at a quarter.
    loss
        What training minimises; labels are compared by their mean absolute difference.
    overlap
        Frames in a training example. A single frame does not determine its object: where C is 1, the objects of
        `overlap` neighbours, each found from its own frame, are merged before they have to predict these frames.

    Raises
    ------
    ConfigError
        If a value cannot be had.
    """

    kind: NetworkKind
    gridsize: int
    frame_shape: Shape
    canvas_shape: Shape
    window_shape: Shape
    merged_shape: Shape
    stages: int = 3
    projections: int = 3
    filters: int = 24
    loss: TrainingLoss = TrainingLoss.AMPLITUDE
    overlap: int = OVERLAP

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", parse_choice("network: kind", self.kind, NetworkKind))
        object.__setattr__(self, "loss", parse_choice("network: loss", self.loss, TrainingLoss))
        for name in ("gridsize", "stages", "projections", "filters", "overlap"):
            object.__setattr__(self, name, check_whole(f"network: {name}", getattr(self, name)))
        for name in ("frame_shape", "canvas_shape", "window_shape", "merged_shape"):
            shape = getattr(self, name)
            if len(shape) != 2 or not all(type(size) is int and size >= 1 for size in shape):
                raise ConfigError(f"network: {name}: expected two whole numbers >= 1, found {shape!r}")
        odd = [size for shape in (self.canvas_shape, self.window_shape) for size in shape if size % CANVAS_MULTIPLE]
        if odd:
            raise ConfigError(f"network: canvas and window: expected multiples of {CANVAS_MULTIPLE}, found {odd}")
        pairs = zip(self.canvas_shape, self.frame_shape, self.window_shape, strict=True)
        if not all(canvas >= max(frame, window) for canvas, frame, window in pairs):
            raise ConfigError(
                f"network: canvas: expected at least the frame {self.frame_shape} and the window "
                f"{self.window_shape}, found {self.canvas_shape}"
            )
        if self.group_size not in {self.overlap, 1}:
            raise ConfigError(
                f"network: overlap: expected {self.group_size}, the frames of a group, found {self.overlap}; only "
                "single frames are merged in training"
            )

    @property
    def group_size(self) -> int:
        """C, the number of frames the network sees together."""
        return self.gridsize**2

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the specification that `to_json` wrote.

        Raises
        ------
        DataError
            If a name is missing, unknown, or holds what it cannot.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if set(values) != names:
            raise DataError(
                f"network: expected {sorted(names)}, found {sorted(values)}: written by another version; train again"
            )
        try:
            shapes = {name: tuple(value) for name, value in values.items() if name.endswith("_shape")}
            return cls(**{**values, **shapes})
        except (TypeError, ValueError, ConfigError) as error:
            raise DataError(f"network: expected what a bundle is written with, found {error}") from error

    def holding(self, offsets: NDArray[np.float64]) -> Specification:
        """Return the same network on a canvas that holds groups with these offsets (B, C, 2), no smaller than now.

        Raises
        ------
        ShapeError
            If offsets are not finite, or so far that they cannot be in pixels.
        """
        needed = _hold(offsets, self.frame_shape)
        growth = [max(0, need - size) for need, size in zip(needed, self.canvas_shape, strict=True)]
        if not any(growth):
            return self
        canvas, window = (
            (shape[0] + growth[0], shape[1] + growth[1]) for shape in (self.canvas_shape, self.window_shape)
        )
        merged = canvas if self.merged_shape == self.canvas_shape else self.merged_shape
        return dataclasses.replace(self, canvas_shape=canvas, window_shape=window, merged_shape=merged)


def specify(
    probe: ComplexArray,
    offsets: NDArray[np.float64],
    *,
    kind: str = NetworkKind.PINN,
    gridsize: int = 2,
    loss: str = TrainingLoss.AMPLITUDE,
    stages: int = 3,
    projections: int = 3,
    filters: int = 24,
) -> Specification:
    """Return a specification whose canvas fits a data set.

    Parameters
    ----------
    probe
        (m, h, w) complex.
    offsets
        (B, C, 2) float64, (y, x) of the frames of the training examples from their reference points; see
        `ptycho.data.examples.Examples`.
    kind, gridsize, loss, stages, projections, filters
        See `Specification`.

    Raises
    ------
    ConfigError
        If a value cannot be had.
    ShapeError
        If probe or offsets have other axes, offsets are not finite or cannot be in pixels, or the examples hold
        fewer frames than a group.
    """
    if probe.ndim != 3 or offsets.ndim != 3 or offsets.shape[2] != 2 or len(offsets) == 0:
        raise ShapeError(
            f"network: expected probe (m, h, w) and offsets (B, C, 2), found {probe.shape}, {offsets.shape}"
        )
    frame_shape = (probe.shape[1], probe.shape[2])
    overlap, group = offsets.shape[1], gridsize**2
    if overlap < group:
        raise ShapeError(f"offsets: expected at least {group} frames for gridsize {gridsize}, found {offsets.shape}")
    merged = _hold(offsets, frame_shape)
    canvas = merged if overlap == group else _round_up(frame_shape)
    reach = [(size - frame) // 2 for size, frame in zip(canvas, frame_shape, strict=True)]
    lit = [2 * (half + far) for half, far in zip(_lit_halves(probe), reach, strict=True)]
    window = _round_up((lit[0], lit[1]))
    return Specification(
        kind=parse_choice("network: kind", kind, NetworkKind),
        gridsize=gridsize,
        frame_shape=frame_shape,
        canvas_shape=canvas,
        window_shape=(min(window[0], canvas[0]), min(window[1], canvas[1])),
        merged_shape=merged,
        stages=stages,
        projections=projections,
        filters=filters,
        loss=parse_choice("network: loss", loss, TrainingLoss),
        overlap=overlap,
    )


def _hold(offsets: NDArray[np.float64], frame_shape: Shape) -> Shape:
    """Return the canvas, in multiples of 4, that holds groups with these offsets (B, C, 2)."""
    furthest = float(np.abs(offsets).max())
    if not max(frame_shape) + 2 * furthest <= math.isqrt(LARGEST_CANVAS):  # also true for NaN
        raise ShapeError(
            f"offsets: expected finite pixels of the object, found up to {furthest:g} from a group's middle, which "
            f"takes a canvas of more than {LARGEST_CANVAS:.0e} pixels; are they in another unit?"
        )
    return _round_up(padded_shape(np.floor(offsets + 0.5), frame_shape))


def _round_up(shape: Shape) -> Shape:
    """Return the next multiples of 4."""
    first, second = (-(-size // CANVAS_MULTIPLE) * CANVAS_MULTIPLE for size in shape)
    return first, second


def _lit_halves(probe: ComplexArray) -> list[int]:
    """Return how far from the middle of each axis `LIT_SHARE` of the probe's power reaches, in pixels."""
    power = sum_modes(probe)
    halves = []
    for axis in (0, 1):
        line = power.sum(axis=1 - axis)
        distance = np.abs(np.arange(line.size) - line.size // 2)
        share = np.bincount(distance, line).cumsum() / line.sum()
        halves.append(int(np.searchsorted(share, 1 - (1 - LIT_SHARE) / 2)))
    return halves
