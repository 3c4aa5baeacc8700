"""One gauge for every result: scale, phase, ramp, position of the probe and order of its modes are fixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.errors import ShapeError
from ptycho.metrics.registration import ComplexArray, FloatArray, Placed, find_plane, plane
from ptycho.physics.canvas import split_positions
from ptycho.physics.shift import shift_probe

__all__ = ["Gauged", "fix_gauge", "illumination"]

COVERED = 0.1
CENTRING_ROUNDS = 10


@dataclass(frozen=True, eq=False)
class Gauged:
    """A result in the gauge in which results are compared.

    Attributes
    ----------
    image
        The object with its place, padded so that no patch leaves it; `image.region` is where the
        illumination is at least 10 % of its maximum.
    probe
        (m, h, w) complex128, modes orthogonal, strongest first, each with phase 0 where it is brightest.
    coverage
        (H, W) float64, Σ_j Σ_m |P_m|² on the canvas of the object, photons.
    """

    image: Placed
    probe: ComplexArray
    coverage: FloatArray

    @property
    def probe_power(self) -> float:
        """Σ_m Σ_s |P_m|², photons per frame before the object."""
        return float(np.square(np.abs(self.probe)).sum())

    @property
    def mean_transmission(self) -> float:
        """Mean |O|² weighted with the illumination."""
        return float((self.coverage * np.square(np.abs(self.image.object))).sum() / self.coverage.sum())


def fix_gauge(
    object_: NDArray[np.complexfloating],
    probe: NDArray[np.complexfloating],
    origin: FloatArray,
    positions: FloatArray,
) -> Gauged:
    """Return the same physical result in the one gauge.

    Modes are mixed by a unitary matrix; the plane of phase that makes the covered object most coherent is
    removed from O and put on P; |P|² is centred on sample (h//2, w//2) with the origin moved along; median |O|
    over the covered region becomes 1 by P → aP, O → O/a; the covered mean of O has phase 0, and so has the brightest
    pixel of each mode. The ramp goes first: what else is done then no longer depends on it.

    Predicted intensities stay as they are but for the tails of the probe, which the centring moves
    periodically (0.1 % of R on the Siemens star); scores are taken from the result as it was returned.
    Power of the probe times mean transmission is the predicted mean counts of a frame: the measured ones when
    the probe comes scaled to them.

    Parameters
    ----------
    object_
        (H, W) complex.
    probe
        (m, h, w) complex.
    origin
        (2,) canvas coordinate of ``object_[0, 0]``.
    positions
        (n, 2) float64, (y, x), of the frames that were used.

    Returns
    -------
    Gauged

    Raises
    ------
    ShapeError
        If the object or the probe is zero everywhere, or a value not finite.
    """
    if not (np.any(object_) and np.any(probe)):
        raise ShapeError("gauge: expected an object and a probe, found only zeros; the reconstruction failed")
    if not all(np.isfinite(array).all() for array in (object_, probe, origin, positions)):
        raise ShapeError(f"gauge: expected finite values, found NaN or infinity in {object_.shape}, {probe.shape}")
    modes = _orthogonal_modes(probe.astype(np.complex128))
    image = object_.astype(np.complex128)
    region = _covered(illumination(modes, positions, origin, image.shape))
    slope, _ = find_plane(np.where(region, image, 0))
    image = image * plane(image.shape, -slope, 0.0)
    modes, moved = _centred(modes * plane(modes.shape[1:], slope, 0.0))
    rim = np.ceil(np.abs(moved)).astype(int)  # patches move with the origin and must stay on the object
    image = np.pad(image, [(width, width) for width in rim], mode="edge")
    origin = origin - moved - rim
    coverage = illumination(modes, positions, origin, image.shape)
    region = _covered(coverage)
    scale = float(np.median(np.abs(image[region])))
    image = image * np.exp(-1j * np.angle(image[region].sum())) / scale
    return Gauged(Placed(image, origin, region), _turned(modes) * scale, coverage * scale**2)


def illumination(
    probe: NDArray[np.complexfloating], positions: FloatArray, origin: FloatArray, shape: tuple[int, ...]
) -> FloatArray:
    """Return Σ_j Σ_m |P_m|² on a canvas, positions rounded to whole pixels; what falls outside is lost.

    Parameters
    ----------
    probe
        (m, h, w) complex.
    positions
        (n, 2) float64.
    origin, shape
        The canvas: coordinate of its element [0, 0], and (H, W).
    """
    intensity = np.square(np.abs(probe)).sum(axis=0)
    h, w = intensity.shape
    padded = np.zeros((shape[0] + 2 * h, shape[1] + 2 * w))
    corners, _ = split_positions(positions, origin, (h, w))
    for y, x in np.clip(corners, (-h, -w), shape) + np.array((h, w)):
        padded[y : y + h, x : x + w] += intensity
    return padded[h:-h, w:-w]


def _covered(coverage: FloatArray) -> NDArray[np.bool_]:
    """Return where the illumination is at least 10 % of its maximum."""
    region: NDArray[np.bool_] = coverage >= COVERED * coverage.max()
    return region


def _orthogonal_modes(probe: ComplexArray) -> ComplexArray:
    """Return modes with the same Σ_m P_m P_mᴴ that are orthogonal, strongest first."""
    if probe.shape[0] == 1:
        return probe
    _, values, vectors = np.linalg.svd(probe.reshape(probe.shape[0], -1), full_matrices=False)
    modes: ComplexArray = (values[:, None] * vectors).reshape(probe.shape)
    return modes


def _turned(probe: ComplexArray) -> ComplexArray:
    """Return the modes, each with phase 0 where it is brightest."""
    flat = probe.reshape(len(probe), -1)
    brightest = flat[np.arange(len(flat)), np.abs(flat).argmax(axis=1)]
    turned: ComplexArray = probe * np.exp(-1j * np.angle(brightest))[:, None, None]
    return turned


def _centred(probe: ComplexArray) -> tuple[ComplexArray, FloatArray]:
    """Return the probe with the centre of mass of |P|² on (h//2, w//2), and by how much it lay off."""
    middle = np.array(probe.shape[1:]) // 2
    moved = np.zeros(2)
    for _ in range(CENTRING_ROUNDS):  # a periodic shift carries the tails along, so one round is not exact
        intensity = np.square(np.abs(probe)).sum(axis=0)
        off = np.array(scipy.ndimage.center_of_mass(intensity)) - middle
        probe = shift_probe(probe, -off[None])[0]
        moved += off
        if np.abs(off).max() < 1e-6:
            break
    return probe, moved
