"""Translation of images by sub-pixel shifts, with zeros coming in from outside."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ptycho.checks import parse_choice
from ptycho.physics.interpolation import sample_windows
from ptycho.physics.shapes import check_shifts
from ptycho.physics.shift import axis_ramps

__all__ = ["Interpolation", "translate"]

Number = TypeVar("Number", bound=np.inexact)


class Interpolation(StrEnum):
    """How an image is read between its pixels."""

    BILINEAR = "bilinear"  # local, and weights stay positive
    FOURIER = "fourier"  # exact for what is band-limited and dark at its border


def translate(
    images: NDArray[Number], shifts: NDArray[np.float64], *, kind: str = Interpolation.BILINEAR
) -> NDArray[Number]:
    """Move images: out(s) = in(s − T), zero outside the image; the adjoint moves by −T.

    Fourier: the image is set into a frame of zeros of twice its size, its spectrum multiplied by
    exp(−2πi (k_y T_y / 2h + k_x T_x / 2w)), and the frame cut off again; for real images the real part. A shift
    by more than the image counts as a shift by the image: nothing is left, and nothing wraps around.

    Parameters
    ----------
    images
        (..., h, w) float or complex.
    shifts
        (..., 2) float64, T = (y, x) in pixels of each image.
    kind
        "bilinear" or "fourier".

    Returns
    -------
    array
        Like `images`.

    Raises
    ------
    ShapeError
        If there is not one shift for each image.
    ConfigError
        If `kind` is not one of the two.
    """
    check_shifts(images.shape, shifts.shape)
    h, w = images.shape[-2:]
    flat, moves = images.reshape(-1, h, w), np.asarray(shifts, np.float64).reshape(-1, 2)
    if parse_choice("translate: kind", kind, Interpolation) is Interpolation.BILINEAR:
        moved = sample_windows(flat, np.arange(len(flat)), -moves, (h, w))
    else:
        ramp_y, ramp_x = axis_ramps(moves.clip((-h, -w), (h, w)), (2 * h, 2 * w))
        ramps = (ramp_y[:, :, None] * ramp_x[:, None, :]).astype(np.result_type(images, np.complex64))
        spectra = scipy.fft.fft2(flat, s=(2 * h, 2 * w)) * ramps
        waves = scipy.fft.ifft2(spectra, overwrite_x=True)[:, :h, :w]
        moved = waves if np.iscomplexobj(images) else waves.real
    return moved.reshape(images.shape)
