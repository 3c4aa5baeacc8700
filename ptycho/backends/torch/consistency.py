"""`ptycho.physics.consistency` in PyTorch: same names, arguments, shapes and errors; see there for each."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike

from ptycho.backends.torch.operators import AXES, propagate, shift_probe, sum_modes
from ptycho.backends.torch.windows import Views, as_tensor, float64
from ptycho.physics.consistency import DAMPING, POWER_FLOOR, check_measured

__all__ = ["light_groups", "predict_groups", "project_groups"]


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
    power = sum_modes(propagate(waves * views.cut(canvases)[:, :, None])).movedim(1, -1)
    return power if mask is None else power * as_tensor(mask, power)[..., None]


def project_groups(
    canvases: torch.Tensor,
    amplitudes: torch.Tensor,
    whole: ArrayLike,
    waves: torch.Tensor,
    *,
    steps: int = 1,
    mask: ArrayLike | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Move canvases (B, H, W, 1) towards the amplitudes (B, h, w, C) of their group; return them and their light.

    The detector's origin stays in the corner here, which saves moving every field there and back.
    """
    check_measured(amplitudes.shape, waves.shape)
    views = Views(float64(whole, canvases), tuple(waves.shape[-2:]), tuple(canvases.shape[1:3]))
    light = views.spread(sum_modes(waves))
    largest = light.amax(dim=(1, 2), keepdim=True)
    denominator = light + DAMPING * largest
    measured = torch.fft.ifftshift(amplitudes.movedim(-1, 1)[:, :, None], dim=AXES)
    valid = None if mask is None else torch.fft.ifftshift(as_tensor(mask, amplitudes))
    conjugate = waves.conj()
    for _ in range(steps):
        exit_waves = waves * views.cut(canvases)[:, :, None]
        fields = torch.fft.fft2(exit_waves, norm="ortho")
        power = sum_modes(fields)[:, :, None]
        lit = power + POWER_FLOOR
        factor = measured * power / (lit * torch.sqrt(lit))
        factor = factor if valid is None else torch.where(valid, factor, torch.ones_like(factor))
        change = (conjugate * (torch.fft.ifft2(fields * factor, norm="ortho") - exit_waves)).sum(dim=2)
        canvases = canvases + views.spread(change) / denominator
    return canvases, light / largest
