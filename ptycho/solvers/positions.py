"""Positions refined beside object and probe: each frame walks to where it fits the object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ptycho.reconstruction import ROOM_PX

__all__ = ["FEWEST_EPOCHS", "FIRST_EPOCH", "Walk", "find_slopes", "find_step"]

FIRST_EPOCH = 3  # after which frames walk, counted from 0: before, the object has no shape to walk by
FEWEST_EPOCHS = FIRST_EPOCH + 2  # nobody moves after the last epoch, so that object and positions belong together
GAIN = 2.0  # of the step below: a frame's amplitudes hold half of what its exit wave would tell
MOMENTUM = 0.5
LONGEST_PX = 2.0
DAMPING = 1e-3  # of the trace, where the object has no slope along one axis

Complex = NDArray[np.complex64]


def find_slopes(object_: Complex) -> Complex:
    """Return ∂O/∂y and ∂O/∂x by central differences, (2, H, W)."""
    return np.stack([np.gradient(object_, axis=axis) for axis in (0, 1)])


def find_step(
    pull: Complex, power: NDArray[np.float32], slopes: Complex, light: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the displacement (y, x) in pixels that explains most of a frame's correction.

    It minimises Σ_m,s L |χ_m − P_m (d · ∇O)|², the Gauss–Newton step of the frame's position. Pixels count by the
    light L that they have received: where the object fades out at the border of the scan, χ is what it still lacks
    and ∇O leads inward, so that without the weight frames at the border walk in.

    Parameters
    ----------
    pull
        (h, w) complex, Σ_m P*_m χ_m.
    power
        (h, w), Σ_m |P_m|².
    slopes
        (2, h, w) complex, ∇O in the frame's patch.
    light
        (h, w), in any unit.

    Notes
    -----
    Without L:
    M. Odstrčil, A. Menzel, M. Guizar-Sicairos, Opt. Express 26 (2018) 3108, doi:10.1364/OE.26.003108, section 3.
    """
    flat = slopes.reshape(2, -1)
    towards = (flat.conj() @ (light * pull).ravel()).real.astype(np.float64)
    stiffness = ((flat.conj() * (light * power).ravel()) @ flat.T).real.astype(np.float64)
    damping = DAMPING * np.trace(stiffness)
    if not damping > 0:
        return np.zeros(2)  # an object without light or slope says nothing
    step: NDArray[np.float64] = np.linalg.solve(stiffness + damping * np.eye(2), towards)
    return step


class Walk:
    """Where the frames are by now.

    Steps of at most 2 px are taken with momentum, which carries a frame up to 4 px in an epoch. The mean
    displacement, which the data leave free, is taken out; then nobody is further away than `ROOM_PX` along each axis.

    Attributes
    ----------
    positions
        (n, 2) float64, (y, x) in pixels.
    """

    def __init__(self, given: NDArray[np.float64]) -> None:
        self._given = given
        self._speed = np.zeros_like(given)
        self.positions = given

    def advance(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move every frame by its step (n, 2) and return the new positions."""
        wanted = GAIN * steps
        length = np.linalg.norm(wanted, axis=1, keepdims=True)
        wanted *= np.minimum(1.0, LONGEST_PX / np.maximum(length, LONGEST_PX))
        self._speed = MOMENTUM * self._speed + wanted
        moved = self.positions + self._speed - self._given
        moved -= moved.mean(axis=0)
        self.positions = self._given + np.clip(moved, -ROOM_PX, ROOM_PX)
        return self.positions
