"""The forward model: from object, probe and positions to the intensities a detector expects.

ψ_jm(s) = P_m(s) · O(r_j + s − (h//2, w//2)),  λ_j = gain · Σ_m |F ψ_jm|² + background.

A position between pixels is split into a whole-pixel corner i and a remainder f in [−½, ½). The patch is cut
at the corner and the probe moved by f: O(i + s) P(s − f) is O(i + f + s) P(s), shifted as a whole by f, and
|F ·|² does not see such a shift. The object is thus never interpolated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ptycho.physics.canvas import split_positions
from ptycho.physics.patches import extract_patches, scatter_patches
from ptycho.physics.propagation import ComplexArray, backpropagate, propagate, sum_modes
from ptycho.physics.shapes import check_experiment, check_patches
from ptycho.physics.shift import shift_probe, unshift_probe

__all__ = ["diffract", "diffract_adjoint_object", "diffract_adjoint_probe", "predict_intensity", "predict_patches"]

SLAB_FRAMES = 32  # frames handled at a time: the working set stays in the cache


def diffract(
    obj: ComplexArray, origin: NDArray[np.float64], probe: ComplexArray, positions: NDArray[np.float64]
) -> ComplexArray:
    """Return the far fields F ψ_jm, linear in the object and in the probe.

    Parameters
    ----------
    obj
        (H, W) complex object.
    origin
        (2,) float64, canvas coordinate (y, x) of ``obj[0, 0]``.
    probe
        (m, h, w) complex modes.
    positions
        (n, 2) float64, (y, x) canvas coordinate of patch sample (h//2, w//2), sub-pixel parts included.

    Returns
    -------
    array
        (n, m, h, w) complex, DC at (h//2, w//2).

    Raises
    ------
    ShapeError
        If an array has other axes, or a patch leaves the object.
    """
    check_experiment(obj.shape, probe.shape, positions.shape)
    corners, remainders = split_positions(positions, origin, (probe.shape[1], probe.shape[2]))
    patches = extract_patches(obj, corners, (probe.shape[1], probe.shape[2]))
    return propagate(shift_probe(probe, remainders) * patches[:, None])


def diffract_adjoint_object(
    far_fields: ComplexArray,
    origin: NDArray[np.float64],
    probe: ComplexArray,
    positions: NDArray[np.float64],
    canvas_shape: tuple[int, int],
) -> ComplexArray:
    """Return (H, W) complex: the adjoint of `diffract` as a map of the object."""
    corners, remainders = split_positions(positions, origin, (probe.shape[1], probe.shape[2]))
    waves = shift_probe(probe, remainders).conj() * backpropagate(far_fields)
    return scatter_patches(waves.sum(axis=1), corners, canvas_shape)


def diffract_adjoint_probe(
    far_fields: ComplexArray,
    obj: ComplexArray,
    origin: NDArray[np.float64],
    positions: NDArray[np.float64],
) -> ComplexArray:
    """Return (m, h, w) complex: the adjoint of `diffract` as a map of the probe."""
    frame_shape = (far_fields.shape[-2], far_fields.shape[-1])
    corners, remainders = split_positions(positions, origin, frame_shape)
    patches = extract_patches(obj, corners, frame_shape)
    return unshift_probe(patches.conj()[:, None] * backpropagate(far_fields), remainders)


def predict_intensity(
    obj: ComplexArray,
    origin: NDArray[np.float64],
    probe: ComplexArray,
    positions: NDArray[np.float64],
    *,
    gain: float = 1.0,
    background: float | NDArray[np.floating] = 0.0,
    mask: NDArray[np.bool_] | None = None,
) -> NDArray[np.floating]:
    """Return λ, the expected intensity of every frame and pixel: λ_j = gain · Σ_m |F ψ_jm|² + background.

    Parameters
    ----------
    obj
        (H, W) complex object.
    origin
        (2,) float64, canvas coordinate (y, x) of ``obj[0, 0]``.
    probe
        (m, h, w) complex modes; with gain 1 their power Σ|P|² is the counts behind an empty object.
    positions
        (n, 2) float64, (y, x) canvas coordinate of patch sample (h//2, w//2), sub-pixel parts included.
    gain
        Detector units per photon.
    background
        Added to every frame: a number or (h, w).
    mask
        (h, w) bool, True where the detector can be believed; λ is 0 elsewhere. None believes every pixel.

    Returns
    -------
    array
        (n, h, w), float32 for complex64 input, DC at (h//2, w//2).

    Raises
    ------
    ShapeError
        If an array has other axes, or a patch leaves the object.
    """
    check_experiment(obj.shape, probe.shape, positions.shape)
    precision = np.result_type(obj.real.dtype, probe.real.dtype)
    expected = np.empty((len(positions), *probe.shape[1:]), precision)
    for start in range(0, len(positions), SLAB_FRAMES):
        slab = slice(start, start + SLAB_FRAMES)
        expected[slab] = _detect(diffract(obj, origin, probe, positions[slab]), gain, background, mask)
    return expected


def predict_patches(
    patches: ComplexArray,
    probe: ComplexArray,
    *,
    gain: float = 1.0,
    background: float | NDArray[np.floating] = 0.0,
    mask: NDArray[np.bool_] | None = None,
) -> NDArray[np.floating]:
    """Return λ of object patches that lie under the probe already: what a network predicts goes this way.

    Parameters
    ----------
    patches
        (..., h, w) complex, O(r_j + s − (h//2, w//2)).
    probe, gain, background, mask
        As in `predict_intensity`.

    Returns
    -------
    array
        (..., h, w), DC at (h//2, w//2).

    Raises
    ------
    ShapeError
        If patches and probe have different frames.
    """
    check_patches(patches.shape, probe.shape)
    return _detect(propagate(probe * patches[..., None, :, :]), gain, background, mask)


def _detect(
    fields: ComplexArray,
    gain: float,
    background: float | NDArray[np.floating],
    mask: NDArray[np.bool_] | None,
) -> NDArray[np.floating]:
    """Return gain · Σ_m |F ψ_m|² + background of far fields (..., m, h, w), 0 off the mask."""
    expected: NDArray[np.floating] = gain * sum_modes(fields) + background
    expected = expected.astype(fields.real.dtype, copy=False)
    return expected if mask is None else expected * mask
