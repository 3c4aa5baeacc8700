"""Sub-pixel shifts of a probe, by a phase ramp on its spectrum."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ptycho.physics.propagation import ComplexArray

__all__ = ["shift_probe", "unshift_probe"]


def shift_probe(probe: ComplexArray, offsets: NDArray[np.float64]) -> ComplexArray:
    """Move a probe by each offset: P_j(s) = P(s − f_j), periodic in the frame.

    P_j = F⁻¹ [F P · exp(−2πi (k_y f_y / h + k_x f_x / w))] with k from `scipy.fft.fftfreq`; the ramp has
    modulus 1 at every frequency, so each shift is unitary.

    Parameters
    ----------
    probe
        (..., h, w) complex.
    offsets
        (n, 2) float64, (y, x) in pixels.

    Returns
    -------
    array
        (n, ..., h, w) complex, of the probe's precision.
    """
    spectrum = scipy.fft.fft2(probe)
    ramps = shift_ramps(offsets, (probe.shape[-2], probe.shape[-1])).astype(probe.dtype)
    ramps = ramps.reshape(len(offsets), *(1,) * (probe.ndim - 2), *probe.shape[-2:])
    shifted: ComplexArray = scipy.fft.ifft2(spectrum * ramps, overwrite_x=True)
    return shifted


def unshift_probe(shifted: ComplexArray, offsets: NDArray[np.float64]) -> ComplexArray:
    """Sum probes (n, ..., h, w) moved back by their offsets (n, 2): the adjoint of `shift_probe`."""
    spectrum = scipy.fft.fft2(shifted)
    ramps = shift_ramps(-offsets, (shifted.shape[-2], shifted.shape[-1])).astype(shifted.dtype)
    ramps = ramps.reshape(len(offsets), *(1,) * (shifted.ndim - 3), *shifted.shape[-2:])
    probe: ComplexArray = scipy.fft.ifft2((spectrum * ramps).sum(axis=0), overwrite_x=True)
    return probe


def shift_ramps(offsets: NDArray[np.float64], frame_shape: tuple[int, int]) -> NDArray[np.complex128]:
    """Return the ramps (n, h, w) complex128 that `shift_probe` multiplies spectra by (DC at the corner)."""
    ramp_y, ramp_x = (
        np.exp(-2j * np.pi * offsets[:, axis, None] * scipy.fft.fftfreq(frame_shape[axis])) for axis in (0, 1)
    )
    ramps: NDArray[np.complex128] = ramp_y[:, :, None] * ramp_x[:, None, :]
    return ramps
