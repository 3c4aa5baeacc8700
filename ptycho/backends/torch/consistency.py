"""`ptycho.physics.consistency` in PyTorch: same names, arguments, shapes and errors; see there for each."""

from __future__ import annotations

import math

import torch
from numpy.typing import ArrayLike

from ptycho.backends.torch.operators import AXES, propagate, shift_probe, sum_modes
from ptycho.backends.torch.windows import Views, as_tensor, float64
from ptycho.physics.consistency import DAMPING, POWER_FLOOR, check_measured

__all__ = ["Projection", "light_groups", "predict_groups"]


def light_groups(probe: torch.Tensor, offsets: ArrayLike) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the waves (B, C, m, h, w) that light patches at offsets (B, C, 2), and their whole pixels (B, C, 2)."""
    places = float64(offsets, probe)
    whole = torch.floor(places + 0.5)
    waves = shift_probe(probe, (places - whole).reshape(-1, 2))
    return waves.reshape(*places.shape[:2], *probe.shape), whole


def predict_groups(
    canvases: torch.Tensor, whole: ArrayLike, waves: torch.Tensor, *, mask: ArrayLike | None = None
) -> torch.Tensor:
    """Return λ (B, h, w, C) expected of canvases (B, H, W, 1), 0 off the mask."""
    views = Views(float64(whole, canvases), tuple(waves.shape[-2:]), tuple(canvases.shape[1:3]))
    power = sum_modes(propagate(views.keep(waves) * views.cut(canvases)[:, :, None])).movedim(1, -1)
    return power if mask is None else power * as_tensor(mask, power)[..., None]


class Projection:
    """Steps of canvases (B, H, W, 1) towards the amplitudes (B, h, w, C) of their group.

    The detector's origin stays in the corner here, which saves moving every field there and back, and the factors of
    both transforms are in the waves.
    """

    def __init__(
        self,
        amplitudes: torch.Tensor,
        whole: ArrayLike,
        waves: torch.Tensor,
        padded_shape: tuple[int, int],
        *,
        mask: ArrayLike | None = None,
    ) -> None:
        check_measured(amplitudes.shape, waves.shape)
        self._views = Views(float64(whole, waves), tuple(waves.shape[-2:]), padded_shape)
        kept = self._views.keep(waves)
        self._waves = kept / math.sqrt(waves.shape[-2] * waves.shape[-1])
        self._conjugate = self._waves.conj().resolve_conj()
        measured = torch.fft.ifftshift(amplitudes.movedim(-1, 1)[:, :, None], dim=AXES)
        self._valid = None if mask is None else torch.fft.ifftshift(as_tensor(mask, amplitudes))
        self._measured = measured if self._valid is None else torch.where(self._valid, measured, 0)
        light = self._views.spread(sum_modes(kept))
        largest = light.amax(dim=(1, 2), keepdim=True)
        self._share = 1 / (light + DAMPING * largest)
        self.light = light / largest

    def move(self, canvases: torch.Tensor, *, steps: int = 1) -> torch.Tensor:
        """Return canvases (B, H, W, 1) after so many steps."""
        for _ in range(steps):
            fields = torch.fft.fft2(self._waves * self._views.cut(canvases)[:, :, None])
            power = sum_modes(fields)[:, :, None]
            lit = power + POWER_FLOOR
            excess = self._measured * power / (lit * torch.sqrt(lit)) - 1
            excess = excess if self._valid is None else excess * self._valid
            change = (self._conjugate * torch.fft.ifft2(fields * excess, norm="forward")).sum(dim=2)
            canvases = canvases + self._views.spread(change) * self._share
        return canvases
