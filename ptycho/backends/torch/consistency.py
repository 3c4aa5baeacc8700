"""`ptycho.physics.consistency` in PyTorch: same names, arguments, shapes and errors; see there for each."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike

from ptycho.backends.torch.operators import (
    backpropagate,
    propagate,
    sample_groups,
    shift_probe,
    spread_groups,
    sum_modes,
)
from ptycho.backends.torch.windows import as_tensor, float64
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
    power = sum_modes(propagate(_exit_waves(canvases, whole, waves))).movedim(1, -1)
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
    """Move canvases (B, H, W, 1) towards the amplitudes (B, h, w, C) of their group; return them and their light."""
    check_measured(amplitudes.shape, waves.shape)
    padded = (canvases.shape[1], canvases.shape[2])
    light = spread_groups(sum_modes(waves).movedim(1, -1), whole, padded)
    largest = light.amax(dim=(1, 2), keepdim=True)
    measured = amplitudes.movedim(-1, 1)[:, :, None]
    valid = None if mask is None else as_tensor(mask, amplitudes)
    for _ in range(steps):
        exit_waves = _exit_waves(canvases, whole, waves)
        fields = propagate(exit_waves)
        power = sum_modes(fields)[:, :, None]
        lit = power + POWER_FLOOR
        factor = measured * power / (lit * torch.sqrt(lit))
        factor = factor if valid is None else torch.where(valid, factor, torch.ones_like(factor))
        change = (waves.conj() * (backpropagate(fields * factor) - exit_waves)).sum(dim=2)
        canvases = canvases + spread_groups(change.movedim(1, -1), whole, padded) / (light + DAMPING * largest)
    return canvases, light / largest


def _exit_waves(canvases: torch.Tensor, whole: ArrayLike, waves: torch.Tensor) -> torch.Tensor:
    """Return ψ (B, C, m, h, w)."""
    patches = sample_groups(canvases, whole, (waves.shape[-2], waves.shape[-1]))
    return waves * patches.movedim(-1, 1)[:, :, None]
