"""Every linear operator of the physics in one table, each with its adjoint: tests read their cases from here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptycho.physics.canvas import make_canvas, split_positions
from ptycho.physics.forward import diffract, diffract_adjoint_object, diffract_adjoint_probe
from ptycho.physics.patches import extract_patches, scatter_patches
from ptycho.physics.propagation import ComplexArray, backpropagate, propagate
from ptycho.physics.shift import shift_probe, unshift_probe

__all__ = ["OPERATORS", "LinearOperator", "Setting", "make_setting"]

Apply = Callable[[ComplexArray], ComplexArray]


@dataclass(frozen=True, eq=False)
class Setting:
    """A small experiment in which operators are compared: n frames (h, w), m modes, a canvas that is no square.

    Attributes
    ----------
    positions
        (n, 2) float64, between pixels, more spread in x than in y.
    origin
        (2,) float64, of the canvas.
    obj
        (H, W) complex128.
    probe
        (m, h, w) complex128, random.
    """

    positions: NDArray[np.float64]
    origin: NDArray[np.float64]
    obj: NDArray[np.complex128]
    probe: NDArray[np.complex128]

    @property
    def frame_shape(self) -> tuple[int, int]:
        """(h, w)."""
        return self.probe.shape[1], self.probe.shape[2]

    @property
    def corners(self) -> NDArray[np.intp]:
        """(n, 2) int: where the patches start on the canvas."""
        return split_positions(self.positions, self.origin, self.frame_shape)[0]

    @property
    def remainders(self) -> NDArray[np.float64]:
        """(n, 2) float64: the sub-pixel parts of the positions."""
        return split_positions(self.positions, self.origin, self.frame_shape)[1]


@dataclass(frozen=True)
class LinearOperator:
    """A linear operator A and its adjoint, bound to a setting when asked.

    Attributes
    ----------
    name
        What tests call it.
    domain, range
        Shapes of its argument and its result in a setting.
    forward, adjoint
        A and Aᴴ in a setting.
    unitary
        Whether Σ|A x|² = Σ|x|².
    """

    name: str
    domain: Callable[[Setting], tuple[int, ...]]
    range: Callable[[Setting], tuple[int, ...]]
    forward: Callable[[Setting], Apply]
    adjoint: Callable[[Setting], Apply]
    unitary: bool = False


def make_setting(frame_shape: tuple[int, int], seed: int = 0, *, frames: int = 5, modes: int = 2) -> Setting:
    """Return a random setting whose canvas is wider than high."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform((-3.0, -7.0), (3.0, 7.0), (frames, 2))
    canvas = make_canvas(positions, frame_shape)

    def draw(*shape: int) -> NDArray[np.complex128]:
        return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)

    return Setting(positions, canvas.origin, draw(*canvas.shape), draw(modes, *frame_shape))


def _frames(setting: Setting) -> tuple[int, ...]:
    """Shape of one wave for every frame."""
    return len(setting.positions), *setting.frame_shape


def _waves(setting: Setting) -> tuple[int, ...]:
    """Shape of one wave for every frame and mode."""
    return len(setting.positions), *setting.probe.shape


def _canvas(setting: Setting) -> tuple[int, int]:
    """Shape of the object."""
    return setting.obj.shape[0], setting.obj.shape[1]


def _probe(setting: Setting) -> tuple[int, ...]:
    """Shape of the modes."""
    return setting.probe.shape


OPERATORS = (
    LinearOperator("propagate", _frames, _frames, lambda _: propagate, lambda _: backpropagate, unitary=True),
    LinearOperator(
        "shift_probe",
        _probe,
        _waves,
        lambda s: lambda probe: shift_probe(probe, s.remainders),
        lambda s: lambda waves: unshift_probe(waves, s.remainders),
    ),
    LinearOperator(
        "extract_patches",
        _canvas,
        _frames,
        lambda s: lambda obj: extract_patches(obj, s.corners, s.frame_shape),
        lambda s: lambda patches: scatter_patches(patches, s.corners, _canvas(s)),
    ),
    LinearOperator(
        "diffract the object",
        _canvas,
        _waves,
        lambda s: lambda obj: diffract(obj, s.origin, s.probe, s.positions),
        lambda s: lambda fields: diffract_adjoint_object(fields, s.origin, s.probe, s.positions, _canvas(s)),
    ),
    LinearOperator(
        "diffract the probe",
        _probe,
        _waves,
        lambda s: lambda probe: diffract(s.obj, s.origin, probe, s.positions),
        lambda s: lambda fields: diffract_adjoint_probe(fields, s.obj, s.origin, s.positions),
    ),
)
