"""Positions refined beside object and probe: each frame walks to where it fits the object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["FIRST_EPOCH", "ROOM_PX", "Walk", "find_slopes", "find_step"]

FIRST_EPOCH = 3  # from which on frames walk: before, the object has no shape to walk by
ROOM_PX = 16  # no frame leaves the place it was given by more, along each axis
GAIN = 2.0  # of the step below: a frame's amplitudes hold half of what its exit wave would tell
MOMENTUM = 0.5
LONGEST_PX = 2.0
DAMPING = 1e-3  # of the trace, where the object has no slope along one axis

Complex = NDArray[np.complex64]


def find_slopes(object_: Complex) -> Complex:
    """Return ∂O/∂y and ∂O/∂x by central differences, (2, H, W)."""
    return np.stack([np.gradient(object_, axis=axis) for axis in (0, 1)])


def find_step(pull: Complex, power: NDArray[np.float32], slopes: Complex) -> NDArray[np.float64]:
    """Return the displacement (y, x) in pixels that explains most of a frame's correction.

    It minimises Σ_m,s |χ_m − P_m (d · ∇O)|², the Gauss–Newton step of the frame's position.

    Parameters
    ----------
    pull
        (h, w) complex, Σ_m P*_m χ_m.
    power
        (h, w), Σ_m |P_m|².
    slopes
        (2, h, w) complex, ∇O in the frame's patch.

    Notes
    -----
    M. Odstrčil, A. Menzel, M. Guizar-Sicairos, Opt. Express 26 (2018) 3108, doi:10.1364/OE.26.003108, section 3.
    """
    flat = slopes.reshape(2, -1)
    towards = (flat.conj() @ pull.ravel()).real.astype(np.float64)
    stiffness = ((flat.conj() * power.ravel()) @ flat.T).real.astype(np.float64)
    damping = DAMPING * np.trace(stiffness)
    if not damping > 0:
        return np.zeros(2)  # an object without any slope says nothing
    step: NDArray[np.float64] = np.linalg.solve(stiffness + damping * np.eye(2), towards)
    return step


class Walk:
    """Where the frames are by now.

    Steps are taken with momentum and none is longer than 2 px; the mean displacement, which the data leave free,
    is taken out, and nobody goes further than `ROOM_PX`.

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
