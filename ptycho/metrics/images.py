"""Scores of one image against another on the same grid: errors, signal to noise, structural similarity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.errors import ShapeError

__all__ = ["ImageScores", "compare_images", "psnr_255", "ssim_ancestor"]

Image = NDArray[np.inexact]
Real = NDArray[np.float64]
Region = NDArray[np.bool_]
Filter = Callable[[Image], Image]

K1, K2 = 0.01, 0.03
WINDOW_PX = 7  # of the single-scale index
GAUSSIAN_PX, GAUSSIAN_SIGMA = 11, 1.5  # of the multi-scale index
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang 2003


@dataclass(frozen=True)
class ImageScores:
    """How far an image is from the true one, over the pixels known in both.

    Attributes
    ----------
    mae, mse
        Mean |A − B| and mean |A − B|².
    psnr
        10 log₁₀(data_range² / MSE) in dB.
    ssim
        Structural similarity, windows of 7 px, in [−1, 1]: Wang et al., IEEE Trans. Image Process. 13 (2004) 600,
        doi:10.1109/TIP.2003.819861, eq. 13, with sample covariances and K = (0.01, 0.03): what scikit-image
        computes by default.
    ms_ssim
        The same over five scales, Gaussian windows of 11 px: Wang, Simoncelli and Bovik, Asilomar Conf. Signals
        (2003) 1398, doi:10.1109/ACSSC.2003.1292216, eq. 7; a negative contrast term counts as 0.
    data_range
        The range that these three refer to.
    undefined
        For each of them that is None, the reason.
    """

    mae: float
    mse: float
    psnr: float | None
    ssim: float | None
    ms_ssim: float | None
    data_range: float
    undefined: Mapping[str, str] = field(default_factory=dict)


def compare_images(
    truth: Image, found: Image, region: Region | None = None, data_range: float | None = None
) -> ImageScores:
    """Score an image, real or complex, against the true one.

    For complex images products become Re(A B*), so that a common phase changes nothing: phases are compared as
    exp(iφ), where wrapping does not matter.

    Parameters
    ----------
    truth, found
        (h, w), float or complex, in one frame and one gauge.
    region
        (h, w) bool, True where both are known; everywhere by default. A window counts if it lies in it wholly.
    data_range
        By default max − min of a real truth over the region, and 2 max |truth| of a complex one.

    Raises
    ------
    ShapeError
        If shapes differ, no pixel is known, or a known one is not finite.
    """
    region = np.ones(truth.shape, bool) if region is None else region
    if truth.ndim != 2 or found.shape != truth.shape or region.shape != truth.shape or not region.any():
        raise ShapeError(
            "image scores: expected two images (h, w) and a region of that shape with a known pixel, found "
            f"{truth.shape}, {found.shape} and {region.shape} with {int(region.sum())} known"
        )
    a, b = (_in_double(image, region) for image in (truth, found))
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ShapeError(f"image scores: expected finite values in the region, found NaN or infinity in {truth.shape}")
    known = a[region]
    if data_range is None:
        data_range = float(2 * np.abs(known).max() if np.iscomplexobj(known) else np.ptp(known))
    error = np.abs(a - b)[region]
    mse = float(np.square(error).mean())
    undefined: dict[str, str] = {}
    if not data_range > 0:
        undefined = dict.fromkeys(("psnr", "ssim", "ms_ssim"), "the truth is constant: there is no data range")
    elif mse == 0:
        undefined["psnr"] = "the images are identical: it has no bound"
    ssim = None if "ssim" in undefined else _ssim(a, b, region, data_range)
    ms_ssim = None if "ms_ssim" in undefined else _ms_ssim(a, b, region, data_range)
    if ssim is None:
        undefined.setdefault("ssim", f"no window of {WINDOW_PX} px lies in the region")
    if ms_ssim is None:
        undefined.setdefault("ms_ssim", f"no window of {GAUSSIAN_PX} px lies in the region at the coarsest of 5 scales")
    return ImageScores(
        mae=float(error.mean()),
        mse=mse,
        psnr=None if "psnr" in undefined else float(10 * np.log10(data_range**2 / mse)),
        ssim=ssim,
        ms_ssim=ms_ssim,
        data_range=data_range,
        undefined=undefined,
    )


def psnr_255(mse: float) -> float:
    """Return 10 log₁₀(255² / MSE), for old tables only: their images do not range to 255."""
    return float(10 * np.log10(255**2 / mse))


def ssim_ancestor(truth: Image, found: Image, region: Region | None = None) -> float | None:
    """Return the amplitude SSIM of old tables: |found| rescaled to the mean of |truth|, range of |truth|.

    Arguments and errors as in `compare_images`; None where that is.
    """
    region = np.ones(truth.shape, bool) if region is None else region
    known, image = np.abs(truth), np.abs(found)
    mean = float(image[region].mean())
    scale = float(known[region].mean()) / mean if mean > 0 else 1.0
    return compare_images(known, scale * image, region).ssim


def _in_double(image: Image, region: Region) -> Image:
    """Return an image in double precision, 0 outside the region whatever stands there."""
    return np.where(region, image, 0).astype(np.complex128 if np.iscomplexobj(image) else np.float64)


def _ssim(a: Image, b: Image, region: Region, data_range: float) -> float | None:
    """Return the mean single-scale index over whole windows."""
    whole = _whole_windows(region, WINDOW_PX)
    if not whole.any():
        return None
    n = WINDOW_PX**2
    luminance, contrast = _compare(a, b, data_range, lambda image: _filter(image, _uniform), n / (n - 1))
    return float((luminance * contrast)[whole].mean())


def _ms_ssim(a: Image, b: Image, region: Region, data_range: float) -> float | None:
    """Return Π_s (contrast and structure at scale s)^w_s, with the luminance at the coarsest."""
    product = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale > 0:
            a, b, region = _halve(a), _halve(b), _halve(region.astype(np.float64)) == 1
        whole = _whole_windows(region, GAUSSIAN_PX)
        if not whole.any():
            return None
        luminance, contrast = _compare(a, b, data_range, lambda image: _filter(image, _gaussian), 1.0)
        if scale == len(SCALE_WEIGHTS) - 1:
            contrast = luminance * contrast
        product *= max(float(contrast[whole].mean()), 0.0) ** weight
    return product


def _compare(a: Image, b: Image, data_range: float, smooth: Filter, correction: float) -> tuple[Real, Real]:
    """Return luminance (2 μ_a μ_b + C₁) / (μ_a² + μ_b² + C₁) and contrast (2 σ_ab + C₂) / (σ_a² + σ_b² + C₂)."""
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    mean_a, mean_b = smooth(a), smooth(b)
    means, squares = np.abs(mean_a) ** 2 + np.abs(mean_b) ** 2, np.abs(a) ** 2 + np.abs(b) ** 2
    product = (mean_a * mean_b.conj()).real
    variances = correction * (smooth(squares) - means)
    covariance = correction * (smooth((a * b.conj()).real) - product)
    return (2 * product + c1) / (means + c1), (2 * covariance + c2) / (variances + c2)


def _filter(image: Image, by: Callable[[Real], Real]) -> Image:
    """Filter an image, part by part when it is complex."""
    filtered: Image = by(image.real) + 1j * by(image.imag) if np.iscomplexobj(image) else by(image.real)
    return filtered


def _uniform(image: Real) -> Real:
    """Return means over windows."""
    means: Real = scipy.ndimage.uniform_filter(image, WINDOW_PX)
    return means


def _gaussian(image: Real) -> Real:
    """Return weighted means over windows."""
    means: Real = scipy.ndimage.gaussian_filter(image, GAUSSIAN_SIGMA, radius=GAUSSIAN_PX // 2)
    return means


def _whole_windows(region: Region, size: int) -> Region:
    """Return the pixels whose window of `size` lies in the region."""
    whole: Region = scipy.ndimage.minimum_filter(region, size, mode="constant", cval=0)
    return whole


def _halve(image: Image) -> Image:
    """Return the means of blocks of 2 × 2; an odd last line is left out."""
    h, w = (size // 2 * 2 for size in image.shape)
    means: Image = image[:h, :w].reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3))
    return means
