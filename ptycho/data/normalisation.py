"""The one scale of a data set that brings amplitudes to the size a network works with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptycho.data.rows import Rows, slabs
from ptycho.errors import DataError, ShapeError

__all__ = ["FLUX_LIMIT", "Normalisation", "fit_normalisation"]

FLUX_LIMIT = 2.0  # frames brighter or darker than the fitted ones by more than this deserve a warning


@dataclass(frozen=True)
class Normalisation:
    """A frozen scale s, chosen so that s² · mean Σ intensity = h w / 4 on the frames it was fitted to.

    Attributes
    ----------
    mean_intensity
        Mean over the fitted frames of Σ intensity over valid pixels; photons for counts.
    frame_shape
        (h, w) in pixels.
    """

    mean_intensity: float
    frame_shape: tuple[int, int]

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean_intensity) and self.mean_intensity > 0):
            raise DataError(f"normalisation: expected frames with light in them, found a mean of {self.mean_intensity}")

    @property
    def scale(self) -> float:
        """The scale s: normalised amplitude = s √intensity."""
        h, w = self.frame_shape
        return math.sqrt(h * w / 4 / self.mean_intensity)

    @property
    def intensity_scale(self) -> float:
        """The published name of 1/s: normalised amplitude · intensity_scale = √intensity."""
        return 1 / self.scale

    def flux_ratio(self, frames: NDArray[np.generic] | Rows, mask: NDArray[np.bool_] | None = None) -> float:
        """Return how much brighter other frames are; outside [1/2, 2] (`FLUX_LIMIT`) a warning is due."""
        return fit_normalisation(frames, mask).mean_intensity / self.mean_intensity


def fit_normalisation(
    frames: NDArray[np.generic] | Rows, mask: NDArray[np.bool_] | None = None, *, amplitude: bool = False
) -> Normalisation:
    """Fit the scale to the frames of a training split, in float64 whatever their dtype, slab by slab.

    Parameters
    ----------
    frames
        (n, h, w) or (n, h, w, C) intensities of any real dtype, in memory, mapped, or computed.
    mask
        (h, w) bool, True where the detector can be believed; all of it by default.
    amplitude
        The frames are amplitudes: they are squared.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    DataError
        If the valid pixels hold no light, or NaN.
    """
    if frames.ndim not in (3, 4) or 0 in frames.shape:
        raise ShapeError(f"frames: expected (n, h, w) or (n, h, w, C), none of them 0, found {frames.shape}")
    h, w = frames.shape[1:3]
    if mask is not None and mask.shape != (h, w):
        raise ShapeError(f"mask: expected {(h, w)} for frames {frames.shape}, found {mask.shape}")
    total = np.zeros((h, w))
    for slab in slabs(frames.shape):
        values = np.asarray(frames[slab]).astype(np.float64)
        values = values**2 if amplitude else values
        total += values.sum(axis=(0, *range(3, frames.ndim)))
    valid = total if mask is None else total[mask]
    return Normalisation(float(valid.sum()) * h * w / math.prod(frames.shape), (h, w))
