"""Propagation between exit wave and detector, a unitary DFT with its origin in the middle, and its power."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

__all__ = ["ComplexArray", "backpropagate", "propagate", "sum_modes"]

ComplexArray = NDArray[np.complexfloating]

AXES = (-2, -1)


def propagate(exit_wave: ComplexArray) -> ComplexArray:
    """Return F ψ, the far field, with the detector origin (DC) at (h//2, w//2).

    (F ψ)(k) = (h w)^(−½) Σ_s ψ(s) exp(−2πi (k − (h//2, w//2))·s / (h, w)), so Σ|F ψ|² = Σ|ψ|².

    Parameters
    ----------
    exit_wave
        (..., h, w) complex.
    """
    far_field: ComplexArray = scipy.fft.fftshift(scipy.fft.fft2(exit_wave, norm="ortho"), axes=AXES)
    return far_field


def backpropagate(far_field: ComplexArray) -> ComplexArray:
    """Return Fᴴ Ψ, which is also F⁻¹ Ψ; (..., h, w) complex."""
    exit_wave: ComplexArray = scipy.fft.ifft2(scipy.fft.ifftshift(far_field, axes=AXES), norm="ortho")
    return exit_wave


def sum_modes(waves: ComplexArray) -> NDArray[np.floating]:
    """Return Σ_m |ψ_m|² (..., h, w) of waves or far fields (..., m, h, w), which do not interfere."""
    power: NDArray[np.floating] = (waves.real**2 + waves.imag**2).sum(axis=-3)
    return power
