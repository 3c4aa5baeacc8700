"""Sub-pixel shifts of a probe, by a phase ramp on its spectrum."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ptycho.physics.propagation import ComplexArray

__all__ = ["axis_ramps", "shift_probe", "unshift_probe"]


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
    ramps = _ramps_like(probe, offsets, probe.ndim - 2)
    shifted: ComplexArray = scipy.fft.ifft2(scipy.fft.fft2(probe) * ramps, overwrite_x=True)
    return shifted


def unshift_probe(shifted: ComplexArray, offsets: NDArray[np.float64]) -> ComplexArray:
    """Sum probes (n, ..., h, w) moved back by their offsets (n, 2): the adjoint of `shift_probe`."""
    spectra = scipy.fft.fft2(shifted) * _ramps_like(shifted, -offsets, shifted.ndim - 3)
    probe: ComplexArray = scipy.fft.ifft2(spectra.sum(axis=0), overwrite_x=True)
    return probe


def axis_ramps(
    offsets: NDArray[np.float64], frame_shape: tuple[int, int]
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Return the ramps (n, h) and (n, w) whose outer product `shift_probe` multiplies spectra by.

    Each is exp(−2πi k f / size) with DC at the corner, complex128.
    """
    ramp_y, ramp_x = (
        np.exp(-2j * np.pi * offsets[:, axis, None] * scipy.fft.fftfreq(frame_shape[axis])) for axis in (0, 1)
    )
    return ramp_y, ramp_x


def _ramps_like(field: ComplexArray, offsets: NDArray[np.float64], n_inner: int) -> ComplexArray:
    """Return full ramps (n, 1, …, h, w) in the precision of a field, with `n_inner` axes of length 1."""
    ramp_y, ramp_x = axis_ramps(offsets, (field.shape[-2], field.shape[-1]))
    ramps = (ramp_y[:, :, None] * ramp_x[:, None, :]).astype(field.dtype)
    return ramps.reshape(len(offsets), *(1,) * n_inner, *field.shape[-2:])
