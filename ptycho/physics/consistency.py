"""What measured amplitudes say about the object of a group: steps towards agreement with all its frames.

Positions between pixels are treated as in `ptycho.physics.forward`: patches are cut at whole pixels, the probe
carries the rest, and the object is never interpolated. Shapes are those of `ptycho.physics.groups`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ptycho.physics.groups import sample_groups, spread_groups
from ptycho.physics.propagation import ComplexArray, backpropagate, propagate, sum_modes
from ptycho.physics.shapes import check_axes, check_shape
from ptycho.physics.shift import shift_probe

__all__ = ["DAMPING", "POWER_FLOOR", "Projection", "check_measured", "light_groups", "predict_groups"]

DAMPING = 0.02  # of the brightest pixel's light: what is lit less moves less
POWER_FLOOR = 3e-4  # of an intensity whose mean over pixels is 1/4: no phase is taken from darkness


def light_groups(probe: ComplexArray, offsets: NDArray[np.float64]) -> tuple[ComplexArray, NDArray[np.float64]]:
    """Return the waves that light each patch, and the whole pixels at which they do.

    Parameters
    ----------
    probe
        (m, h, w) complex.
    offsets
        (B, C, 2) float64, (y, x) of each patch from its group's reference point.

    Returns
    -------
    waves
        (B, C, m, h, w) complex, the probe moved by the remainders in [−½, ½).
    whole
        (B, C, 2) float64 without fraction, offsets of the patches on the group's canvas.
    """
    whole = np.floor(offsets + 0.5)
    waves = shift_probe(probe, (offsets - whole).reshape(-1, 2))
    return waves.reshape(*offsets.shape[:2], *probe.shape), whole


def predict_groups(
    canvases: ComplexArray,
    whole: NDArray[np.float64],
    waves: ComplexArray,
    *,
    mask: NDArray[np.bool_] | None = None,
) -> NDArray[np.floating]:
    """Return λ (B, h, w, C), the intensities expected of canvases (B, H, W, 1) under the waves of `light_groups`.

    Pixels off the mask (h, w) are 0.

    Raises
    ------
    ShapeError
        If shapes do not fit, or a patch leaves its canvas.
    """
    power: NDArray[np.floating] = np.moveaxis(sum_modes(propagate(_exit_waves(canvases, whole, waves))), 1, -1)
    return power if mask is None else power * mask[..., None]


class Projection:
    """Steps towards agreement with the measured amplitudes of each group, all frames at once.

    O ← O + Σ_k T_kᴴ Σ_m P_km* Fᴴ[Ψ_km (√k λ / (λ + ε)^(3/2) − 1)] / (W + δ), with Ψ = F P T_k O, λ = Σ_m |Ψ_m|²,
    W = Σ_k T_kᴴ Σ_m |P_km|² and δ = 0.02 max W; off the mask Ψ stays, and nothing is added. Fields far below √ε vanish:
    their phases are rounding, which a plain √k / √λ would raise to the measured amplitude in a few steps. From O = 1
    one step gives the merged back-projection of the amplitudes with the phase of the probe's far field. Error
    reduction after Gerchberg & Saxton (Optik 35, 237, 1972), its overlap constraint after Thibault et al.
    (Ultramicroscopy 109, 338, 2009, doi:10.1016/j.ultramic.2008.12.011, eq. 6), damped as in rPIE (Maiden, Johnson &
    Li, Optica 4, 736, 2017, doi:10.1364/OPTICA.4.000736).

    Parameters
    ----------
    amplitudes
        (B, h, w, C) ≥ 0, √k in units in which the mean of k is of the order of 1/4, as `Normalisation` makes them.
    whole, waves
        Of `light_groups`, the probe in the same units.
    padded_shape
        (H, W) of the canvas of a group.
    mask
        (h, w) bool, True where the detector can be believed.

    Attributes
    ----------
    light
        (B, H, W, 1), W over its maximum in the group.

    Raises
    ------
    ShapeError
        If shapes do not fit, or a patch leaves its canvas.
    """

    def __init__(
        self,
        amplitudes: NDArray[np.floating],
        whole: NDArray[np.float64],
        waves: ComplexArray,
        padded_shape: tuple[int, int],
        *,
        mask: NDArray[np.bool_] | None = None,
    ) -> None:
        check_measured(amplitudes.shape, waves.shape)
        self._whole, self._waves, self._shape = whole, waves, padded_shape
        self._measured = np.moveaxis(amplitudes, -1, 1)[:, :, None]
        self._mask = mask
        light = spread_groups(np.moveaxis(sum_modes(waves), 1, -1), whole, padded_shape)
        largest = light.max(axis=(1, 2), keepdims=True)
        self._damped = light + DAMPING * largest
        self.light: NDArray[np.floating] = light / largest

    def move(self, canvases: ComplexArray, *, steps: int = 1) -> ComplexArray:
        """Return canvases (B, H, W, 1) complex after so many steps; where no light falls they stay."""
        for _ in range(steps):
            fields = propagate(_exit_waves(canvases, self._whole, self._waves))
            power = sum_modes(fields)[:, :, None]
            lit = power + POWER_FLOOR
            excess = self._measured * power / (lit * np.sqrt(lit)) - 1
            excess = excess if self._mask is None else np.where(self._mask, excess, 0)
            change = (self._waves.conj() * backpropagate(fields * excess)).sum(axis=2)
            canvases = canvases + spread_groups(np.moveaxis(change, 1, -1), self._whole, self._shape) / self._damped
        return canvases


def _exit_waves(canvases: ComplexArray, whole: NDArray[np.float64], waves: ComplexArray) -> ComplexArray:
    """Return ψ (B, C, m, h, w)."""
    patches = sample_groups(canvases, whole, (waves.shape[-2], waves.shape[-1]))
    exit_waves: ComplexArray = waves * np.moveaxis(patches, -1, 1)[:, :, None]
    return exit_waves


def check_measured(amplitudes: tuple[int, ...], waves: tuple[int, ...]) -> None:
    """Raise unless there is one wave for each measured frame."""
    check_axes("amplitudes", amplitudes, "(B, h, w, C)")
    check_axes("waves", waves, "(B, C, m, h, w)")
    b, h, w, c = amplitudes
    check_shape("waves", waves, (b, c, waves[2], h, w), f"one probe for each of the amplitudes {amplitudes}")
