"""A small random experiment in which operators are compared."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.physics.canvas import make_canvas, split_positions
from ptycho.physics.groups import padded_shape

__all__ = ["Setting", "make_setting"]

SINGLE = {"c": np.complex64, "f": np.float32}
EXACT = ("positions", "origin", "offsets")  # where things lie is float64 in every precision


@dataclass(frozen=True, eq=False)
class Setting:
    """n frames (h, w), m modes, n groups of C patches, a canvas that is no square; arrays drawn at random.

    Attributes
    ----------
    positions
        (n, 2) float64, between pixels, more spread in x than in y.
    origin
        (2,) float64, of the canvas.
    obj
        (H, W) complex.
    probe
        (m, h, w) complex.
    frames
        (n, h, w) complex, one image for every position.
    offsets
        (n, C, 2) float64, true offsets of n groups, more spread in x than in y.
    patches
        (n, h, w, C) complex.
    canvases
        (n, *padded, 1) complex.
    weights, mask
        (h, w) float > 0, and bool with some pixels off.
    counts, model
        (n, h, w) float, photons drawn from Poisson(model), and model > 0.
    """

    positions: NDArray[np.float64]
    origin: NDArray[np.float64]
    obj: NDArray[np.complexfloating]
    probe: NDArray[np.complexfloating]
    frames: NDArray[np.complexfloating]
    offsets: NDArray[np.float64]
    patches: NDArray[np.complexfloating]
    canvases: NDArray[np.complexfloating]
    weights: NDArray[np.floating]
    mask: NDArray[np.bool_]
    counts: NDArray[np.floating]
    model: NDArray[np.floating]

    @property
    def frame_shape(self) -> tuple[int, int]:
        """(h, w)."""
        return self.probe.shape[1], self.probe.shape[2]

    @property
    def padded(self) -> tuple[int, int]:
        """(H, W) of the canvas of a group."""
        return self.canvases.shape[1], self.canvases.shape[2]

    @property
    def corners(self) -> NDArray[np.intp]:
        """(n, 2) int: where the patches start on the canvas."""
        return split_positions(self.positions, self.origin, self.frame_shape)[0]

    @property
    def remainders(self) -> NDArray[np.float64]:
        """(n, 2) float64: the sub-pixel parts of the positions."""
        return split_positions(self.positions, self.origin, self.frame_shape)[1]

    def select(self, chosen: slice) -> Setting:
        """Return the setting of some frames and groups."""
        per_frame = ("positions", "frames", "offsets", "patches", "canvases", "counts", "model")
        return replace(self, **{name: getattr(self, name)[chosen] for name in per_frame})

    def to_single(self) -> Setting:
        """Return the setting with images in complex64 and float32; where things lie stays float64."""
        arrays: dict[str, Any] = {
            item.name: getattr(self, item.name).astype(SINGLE[getattr(self, item.name).dtype.kind])
            for item in fields(self)
            if item.name not in EXACT and getattr(self, item.name).dtype.kind in SINGLE
        }
        return replace(self, **arrays)


def make_setting(
    frame_shape: tuple[int, int], seed: int = 0, *, frames: int = 5, modes: int = 2, channels: int = 3
) -> Setting:
    """Return a random setting whose canvases are wider than high."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform((-3.0, -7.0), (3.0, 7.0), (frames, 2))
    canvas = make_canvas(positions, frame_shape)
    offsets = rng.uniform((-1.5, -3.5), (1.5, 3.5), (frames, channels, 2))
    height, width = padded_shape(offsets, frame_shape)
    model = rng.uniform(0.2, 90.0, (frames, *frame_shape))

    def draw(*shape: int) -> NDArray[np.complex128]:
        return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)

    return Setting(
        positions=positions,
        origin=canvas.origin,
        obj=draw(*canvas.shape),
        probe=draw(modes, *frame_shape),
        frames=draw(frames, *frame_shape),
        offsets=offsets,
        patches=draw(frames, *frame_shape, channels),
        canvases=draw(frames, height + 1, width, 1),
        weights=rng.uniform(0.1, 1.0, frame_shape),
        mask=rng.random(frame_shape) > 0.2,
        counts=rng.poisson(model).astype(np.float64),
        model=model,
    )
