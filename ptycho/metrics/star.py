"""Whether the spokes of a Siemens star are really in the picture, and down to which radius."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.errors import ShapeError
from ptycho.metrics.registration import FloatArray, Placed, soft_window

__all__ = ["Star", "find_centre", "measure_star"]

ANGLES = 1024
FEWEST_SPOKES, MOST_SPOKES = 8, 90
HARMONICS = 3  # a spoke with sharp edges has harmonics; three of them hold nearly all of its variance
RESOLVED = 0.25  # share of a ring's variance; unrelated images stay below 0.1
WHOLE_RING = 0.98  # share of a ring that has to be known
FEWEST_RINGS = 16
SMOOTHING_PX = 2.0
OUTLIER_PX = 10.0
ROUNDS = 20


@dataclass(frozen=True, eq=False)
class Star:
    """The spoke pattern of an object.

    Attributes
    ----------
    centre
        (2,) float64, array index (y, x) of the point the edges run towards.
    n_spokes
        Number of periods around the circle.
    contrast
        Median of `profile` over the rings beyond a quarter of the largest radius, in [0, 1].
    resolved_radius
        Radius in pixels down to which, coming from outside, every ring has at least a quarter of its variance
        in the pattern; None when the outermost ring has less.
    radius
        (n,) float64, radii of the rings in pixels.
    profile
        (n,) float64, the share of each ring's angular variance that lies in the spoke pattern.
    """

    centre: FloatArray
    n_spokes: int
    contrast: float
    resolved_radius: float | None
    radius: FloatArray
    profile: FloatArray

    @property
    def resolved_period(self) -> float | None:
        """Width in pixels of one bright and one dark spoke at the resolved radius."""
        return None if self.resolved_radius is None else 2 * np.pi * self.resolved_radius / self.n_spokes


def measure_star(image: Placed) -> Star:
    """Measure the spokes of an object about a centre that is found in it.

    On each ring wholly inside the known region the complex object is expanded in angular harmonics c_m(r).
    The number of spokes N is the order whose harmonics have the same phase at all radii, as only spokes have:
    the largest |Σ_r c_m| + |Σ_r c_−m|. The share of a ring is Σ_{±N, ±2N, ±3N} |c_m|² / Σ_{m≠0} |c_m|²; noise
    and blurred or misplaced structure spread over all orders and leave a share of a few hundredths.

    Parameters
    ----------
    image
        The object in its gauge.

    Returns
    -------
    Star

    Raises
    ------
    ShapeError
        If fewer than 16 whole rings lie in the known region.
    """
    centre = find_centre(image)
    radius = np.arange(1.0, max(image.object.shape))
    angle = 2 * np.pi * np.arange(ANGLES) / ANGLES
    points = centre[:, None, None] + radius[:, None] * np.stack([np.sin(angle), np.cos(angle)])[:, None, :]
    known = scipy.ndimage.map_coordinates(image.region.astype(np.float32), points, order=0).mean(axis=1)
    whole = known >= WHOLE_RING
    if whole.sum() < FEWEST_RINGS:
        raise ShapeError(
            f"star: expected at least {FEWEST_RINGS} whole rings about the centre {centre.round(1)}, "
            f"found {int(whole.sum())} in a region of {int(image.region.sum())} pixels"
        )
    radius = radius[whole]
    rings = scipy.ndimage.map_coordinates(image.object, points[:, whole], order=1)
    harmonics = scipy.fft.fft(rings, axis=1)
    n_spokes = _count_spokes(harmonics)
    power = np.square(np.abs(harmonics))
    orders = n_spokes * np.arange(1, HARMONICS + 1)
    pattern = power[:, orders].sum(axis=1) + power[:, -orders].sum(axis=1)
    variance = power[:, 1:].sum(axis=1)
    profile = np.divide(pattern, variance, out=np.zeros_like(pattern), where=variance > 0)
    lost = np.flatnonzero(profile < RESOLVED)
    first = 0 if lost.size == 0 else int(lost[-1]) + 1
    return Star(
        centre=centre,
        n_spokes=n_spokes,
        contrast=float(np.median(profile[radius >= radius[-1] / 4])),
        resolved_radius=float(radius[first]) if first < radius.size else None,
        radius=radius,
        profile=profile,
    )


def find_centre(image: Placed) -> FloatArray:
    """Return the point (y, x), as array index, that the edges of the object run towards.

    An edge through r with gradient direction g lies on the line g·(x − r) = 0. The centre minimises the sum
    of squared distances to these lines, weighted with |g|² and, from round to round, with
    1/(1 + (distance/10 px)²), so that edges which belong to something else lose their say.

    Parameters
    ----------
    image
        The object in its gauge.
    """
    smooth = scipy.ndimage.gaussian_filter(image.object, SMOOTHING_PX)
    slope_y, slope_x = np.gradient(smooth)
    window = soft_window(image.region)
    yy, xx = window * np.square(np.abs(slope_y)), window * np.square(np.abs(slope_x))
    xy = window * (slope_y * slope_x.conj()).real
    y, x = np.indices(window.shape)
    weight, centre = np.ones_like(window), np.zeros(2)
    for _ in range(ROUNDS):
        matrix = np.array([[(weight * yy).sum(), (weight * xy).sum()], [(weight * xy).sum(), (weight * xx).sum()]])
        vector = np.array([(weight * (yy * y + xy * x)).sum(), (weight * (xy * y + xx * x)).sum()])
        centre = np.linalg.lstsq(matrix, vector, rcond=None)[0]
        dy, dx = y - centre[0], x - centre[1]
        energy = np.maximum(yy + xx, np.finfo(float).tiny)
        distance = np.maximum(yy * dy**2 + 2 * xy * dy * dx + xx * dx**2, 0) / energy
        weight = 1 / (1 + distance / OUTLIER_PX**2)
    return centre


def _count_spokes(harmonics: NDArray[np.complexfloating]) -> int:
    """Return the order whose harmonics (n rings, ANGLES) agree best in phase over the rings."""
    together = np.abs(harmonics.sum(axis=0))
    orders = np.arange(FEWEST_SPOKES, MOST_SPOKES + 1)
    return int(orders[(together[orders] + together[-orders]).argmax()])
