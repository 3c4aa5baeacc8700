"""Bring two objects into one frame: relative shift, phase ramp and phase, each to a small part of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.errors import ShapeError
from ptycho.physics.shift import shift_probe

__all__ = ["Aligned", "Placed", "align", "find_plane", "find_shift", "overlay", "plane", "soft_window"]

ComplexArray = NDArray[np.complex128]
FloatArray = NDArray[np.float64]

TAPER_PX = 16.0
MARGIN_PX = 8.0
ROUNDS = 3
IN_PLACE_PX = 0.05  # origins that differ by less from whole pixels count as equal


@dataclass(frozen=True, eq=False)
class Placed:
    """An object with its place on the canvas and the part of it that is known.

    Attributes
    ----------
    object
        (H, W) complex128.
    origin
        (2,) float64, canvas coordinate (y, x) of ``object[0, 0]``; need not be whole.
    region
        (H, W) bool, True where the object is known.
    """

    object: ComplexArray
    origin: FloatArray
    region: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.object.ndim != 2 or self.region.shape != self.object.shape or self.origin.shape != (2,):
            raise ShapeError(
                "placed object: expected object and region (H, W) and origin (2,), "
                f"found {self.object.shape}, {self.region.shape} and {self.origin.shape}"
            )
        if not (np.isfinite(self.object).all() and np.isfinite(self.origin).all()):
            raise ShapeError(f"placed object: expected finite values, found NaN or infinity in {self.object.shape}")


@dataclass(frozen=True, eq=False)
class Aligned:
    """Two objects on one grid, cropped to the region known in both.

    Attributes
    ----------
    reference, moving
        (h, w) complex128.
    window
        (h, w) float64 in [0, 1], 0 outside the common region, rising softly within 16 px.
    shift
        (2,) float64, (y, x) pixels by which `moving` was off beyond what the origins say.
    """

    reference: ComplexArray
    moving: ComplexArray
    window: FloatArray
    shift: FloatArray


def align(reference: Placed, moving: Placed, max_shift: float = 8.0) -> Aligned:
    """Put `moving` on the grid of `reference`, and take its relative ramp and phase away.

    Origins give the shift first; what is left is searched within `max_shift` pixels, because a search without
    bound moves a right image to a wrong place.

    Parameters
    ----------
    reference, moving
        Two results, or a truth and a result; only `moving` is interpolated.
    max_shift
        Bound in pixels along each axis on the shift that the origins do not explain.

    Returns
    -------
    Aligned

    Raises
    ------
    ShapeError
        If the known regions do not overlap.
    """
    offset = moving.origin - reference.origin
    whole = np.rint(offset).astype(int)
    here, there = _overlap(reference.object.shape, moving.object.shape, whole)
    region = reference.region[here] & moving.region[there]
    if not region.any():
        raise ShapeError(
            "align: expected overlapping regions, found none; "
            f"origins {reference.origin} and {moving.origin}, "
            f"shapes {reference.object.shape} and {moving.object.shape}"
        )
    window = soft_window(region)
    fixed = reference.object[here].astype(np.complex128)
    source = moving.object[there].astype(np.complex128)
    source = source * plane(source.shape, *find_plane(window * fixed * source.conj()))
    source = _fill_outside(source, moving.region[there])
    residual = np.zeros(2)
    for _ in range(ROUNDS):
        moved = shift_probe(source, (offset - whole - residual)[None])[0]
        slope, phase = find_plane(window * fixed * moved.conj())
        moved = moved * plane(moved.shape, slope, phase)
        left = max_shift - np.abs(residual)
        residual += find_shift(_without_mean(fixed, window), _without_mean(moved, window), left)
    box = scipy.ndimage.find_objects(region.astype(np.uint8))[0]
    return Aligned(fixed[box], moved[box], window[box], residual)


def overlay(reference: Placed, moving: Placed) -> Aligned:
    """Put two results of one scan on one grid by their origins alone: nothing is searched, and nothing interpolated.

    Raises
    ------
    ShapeError
        If the known regions do not overlap, or the origins differ by a part of a pixel.
    """
    offset = moving.origin - reference.origin
    whole = np.rint(offset).astype(int)
    if np.abs(offset - whole).max() > IN_PLACE_PX:
        raise ShapeError(
            f"overlay: expected origins that differ by whole pixels, found {reference.origin} and {moving.origin}; "
            "both results must come from one probe, whose centre settles where they lie"
        )
    here, there = _overlap(reference.object.shape, moving.object.shape, whole)
    region = reference.region[here] & moving.region[there]
    if not region.any():
        raise ShapeError(f"overlay: expected overlapping regions, found {reference.origin} and {moving.origin}")
    box = scipy.ndimage.find_objects(region.astype(np.uint8))[0]
    fixed, moved = reference.object[here][box], moving.object[there][box]
    return Aligned(fixed, moved, soft_window(region)[box], np.zeros(2))


def find_plane(field: ComplexArray, bound: FloatArray | None = None) -> tuple[FloatArray, float]:
    """Return the plane of phase q·r + φ that makes `field` most coherent, without unwrapping.

    q maximises |S(q)|, S(q) = Σ_r f(r) exp(−i q·r), and φ = arg S(q): the highest point of a padded FFT,
    then Newton steps on ln|S|², whose gradient is 2 Im⟨r⟩ and whose Hessian is −2 Re Cov(r) under the
    complex weights f exp(−i q·r) / S.

    Parameters
    ----------
    field
        (H, W) complex; weights are its modulus.
    bound
        (2,) largest |q| along each axis, in radians per pixel; None searches everywhere.

    Returns
    -------
    slope
        (2,) float64, q in radians per pixel along (y, x).
    phase
        φ in radians at index (0, 0).
    """
    shape = [scipy.fft.next_fast_len(2 * size) for size in field.shape]
    power = np.abs(scipy.fft.fft2(field, shape, workers=2))
    grids = [2 * np.pi * scipy.fft.fftfreq(size) for size in shape]
    if bound is not None:
        for axis, (grid, limit) in enumerate(zip(grids, bound, strict=True)):
            outside = np.abs(grid) > max(limit, 0.0)
            power[(outside, slice(None)) if axis == 0 else (slice(None), outside)] = -1
    peak = np.unravel_index(int(power.argmax()), power.shape)
    start = np.array([grid[index] for grid, index in zip(grids, peak, strict=True)])
    cell = 2 * np.pi / np.array(shape)
    slope = start
    total, mean, covariance = _moments(field, slope)
    for _ in range(20):
        step = np.linalg.lstsq(covariance.real, mean.imag, rcond=None)[0]
        candidate = np.clip(slope + step, start - cell, start + cell)
        new_total, new_mean, new_covariance = _moments(field, candidate)
        if abs(new_total) <= abs(total):
            break
        slope, total, mean, covariance = candidate, new_total, new_mean, new_covariance
    return slope, float(np.angle(total))


def find_shift(reference: ComplexArray, moving: ComplexArray, bound: FloatArray) -> FloatArray:
    """Return t with moving(s) ≈ reference(s − t): the plane of phase of the cross spectrum.

    Parameters
    ----------
    reference, moving
        (H, W) complex, windowed, mean removed.
    bound
        (2,) largest |t| along each axis, in pixels.
    """
    cross = scipy.fft.fft2(reference, workers=2) * scipy.fft.fft2(moving, workers=2).conj()
    per_pixel = 2 * np.pi / np.array(cross.shape)
    slope, _ = find_plane(scipy.fft.fftshift(cross), bound * per_pixel)
    return slope / per_pixel


def plane(shape: tuple[int, ...], slope: FloatArray, phase: float) -> ComplexArray:
    """Return exp(i (q·r + φ)) on a grid of `shape`."""
    rows = np.exp(1j * (slope[0] * np.arange(shape[0]) + phase))
    values: ComplexArray = rows[:, None] * np.exp(1j * slope[1] * np.arange(shape[1]))
    return values


def soft_window(region: NDArray[np.bool_], taper: float = TAPER_PX) -> FloatArray:
    """Return sin²(π d / 2 taper), d = distance to the nearest pixel outside `region`, 1 beyond `taper`.

    The array's border counts as outside.
    """
    distance = scipy.ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    window: FloatArray = np.sin(np.pi / 2 * np.minimum(distance / taper, 1)) ** 2
    return window


def _moments(field: ComplexArray, slope: FloatArray) -> tuple[complex, ComplexArray, ComplexArray]:
    """Return S(q), the mean of r and its covariance under the weights f exp(−i q·r) / S."""
    centre = (np.array(field.shape) - 1) / 2  # moments about the middle lose no digits
    y, x = (np.arange(size) - middle for size, middle in zip(field.shape, centre, strict=True))
    turned_y, turned_x = np.exp(-1j * slope[0] * y), np.exp(-1j * slope[1] * x)
    along_x = field @ np.stack([turned_x, x * turned_x, x**2 * turned_x], axis=1)
    sums = np.stack([turned_y, y * turned_y, y**2 * turned_y]) @ along_x
    total = sums[0, 0]
    mean = np.array([sums[1, 0], sums[0, 1]]) / total
    square = np.array([[sums[2, 0], sums[1, 1]], [sums[1, 1], sums[0, 2]]]) / total
    return complex(total * np.exp(-1j * slope @ centre)), mean, square - np.outer(mean, mean)


def _overlap(
    reference: tuple[int, ...], moving: tuple[int, ...], offset: NDArray[np.integer]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the slices of both arrays that show the same pixels; `moving` begins at `offset`."""
    here, there = [], []
    for size, other, start in zip(reference, moving, offset, strict=True):
        first, last = max(0, start), max(0, start, min(size, start + other))
        here.append(slice(first, last))
        there.append(slice(first - start, last - start))
    return tuple(here), tuple(there)


def _fill_outside(array: ComplexArray, region: NDArray[np.bool_]) -> ComplexArray:
    """Fade to the mean outside the known region, so that interpolation brings no noise into it."""
    distance = scipy.ndimage.distance_transform_edt(~region)
    weight = np.cos(np.pi / 2 * np.minimum(distance / MARGIN_PX, 1)) ** 2
    mean = array[region].mean()
    filled: ComplexArray = mean + (array - mean) * weight
    return filled


def _without_mean(array: ComplexArray, window: FloatArray) -> ComplexArray:
    """Return the windowed array without its weighted mean."""
    centred: ComplexArray = window * (array - (window * array).sum() / window.sum())
    return centred
