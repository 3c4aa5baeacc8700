"""Results made worse on purpose, so that one can see the scores refuse them."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import numpy as np
import scipy.ndimage

from ptycho.checks import parse_choice
from ptycho.reconstruction import Reconstruction

__all__ = ["Spoil", "spoil_result"]

SEED = 6
BLUR_PX = 1.5
NOISE = 0.1


class Spoil(StrEnum):
    """What to do to the object of a result."""

    NONE = "none"
    BLURRED = "blurred"  # Gaussian of 1.5 px: dark pixels fill with light, and only a proper score sees it
    NOISY = "noisy"  # 10 % of complex noise in every pixel


def spoil_result(result: Reconstruction, spoil: Spoil | str) -> Reconstruction:
    """Return the result with its object made worse; two results of different frames get different noise."""
    spoil = parse_choice("spoil", spoil, Spoil)
    if spoil is Spoil.NONE:
        return result
    if spoil is Spoil.BLURRED:
        parts = (scipy.ndimage.gaussian_filter(part, BLUR_PX) for part in (result.object.real, result.object.imag))
        wrong = np.stack(list(parts), axis=-1).view(np.complex64)[..., 0]
    else:
        real, imaginary = np.random.default_rng([SEED, *result.frames]).standard_normal((2, *result.object.shape))
        wrong = result.object * (1 + NOISE * (real + 1j * imaginary))
    return replace(result, object=wrong.astype(np.complex64))
