"""The operators of `ptycho.physics` in PyTorch: same names, arguments, shapes and errors; see there for each."""

from __future__ import annotations

import math

import torch
from numpy.typing import ArrayLike

from ptycho.backends.torch.windows import (
    add_blocks,
    as_tensor,
    check_inside_if_known,
    cut_blocks,
    float64,
    sample_windows,
    spread_windows,
)
from ptycho.checks import parse_choice
from ptycho.physics.groups import SUPPORT_LIMIT
from ptycho.physics.shapes import check_axes, check_experiment, check_groups, check_patches, check_shifts
from ptycho.physics.translation import Interpolation

__all__ = [
    "accumulate_canvas",
    "accumulate_groups",
    "backpropagate",
    "diffract",
    "extract_patches",
    "merge_groups",
    "predict_intensity",
    "predict_patches",
    "propagate",
    "sample_groups",
    "scatter_patches",
    "shift_probe",
    "spread_groups",
    "sum_modes",
    "translate",
]

AXES = (-2, -1)
TURN = -2j * math.pi  # a constant: torch's compiler does not multiply a complex number by a float
Shape = tuple[int, int]


def propagate(exit_wave: torch.Tensor) -> torch.Tensor:
    """Return F ψ of waves (..., h, w), DC at (h//2, w//2)."""
    return torch.fft.fftshift(torch.fft.fft2(exit_wave, norm="ortho"), dim=AXES)


def backpropagate(far_field: torch.Tensor) -> torch.Tensor:
    """Return Fᴴ Ψ of far fields (..., h, w)."""
    return torch.fft.ifft2(torch.fft.ifftshift(far_field, dim=AXES), norm="ortho")


def sum_modes(waves: torch.Tensor) -> torch.Tensor:
    """Return Σ_m |ψ_m|² (..., h, w) of waves or far fields (..., m, h, w)."""
    return (waves.real.square() + waves.imag.square()).sum(dim=-3)


def shift_probe(probe: torch.Tensor, offsets: ArrayLike) -> torch.Tensor:
    """Return a probe (..., h, w) moved periodically by each offset (n, 2): (n, ..., h, w)."""
    ramps = _ramps(float64(offsets, probe), (probe.shape[-2], probe.shape[-1])).to(probe.dtype)
    ramps = ramps.reshape(-1, *(1,) * (probe.ndim - 2), *probe.shape[-2:])
    return torch.fft.ifft2(torch.fft.fft2(probe) * ramps)


def translate(images: torch.Tensor, shifts: ArrayLike, *, kind: str = Interpolation.BILINEAR) -> torch.Tensor:
    """Move images (..., h, w) by shifts (..., 2), zero outside."""
    moves = float64(shifts, images)
    check_shifts(images.shape, moves.shape)
    h, w = images.shape[-2:]
    flat, moves = images.reshape(-1, h, w), moves.reshape(-1, 2)
    if parse_choice("translate: kind", kind, Interpolation) is Interpolation.BILINEAR:
        moved = sample_windows(flat, torch.arange(len(flat), device=flat.device), -moves, (h, w))
    else:
        limit = moves.new_tensor([h, w])
        spectra = torch.fft.fft2(flat, s=(2 * h, 2 * w))
        ramps = _ramps(moves.clamp(-limit, limit), (2 * h, 2 * w)).to(spectra.dtype)
        moved = torch.fft.ifft2(spectra * ramps)[:, :h, :w]
        moved = moved if images.is_complex() else moved.real
    return moved.reshape(images.shape)


def extract_patches(canvas: torch.Tensor, corners: ArrayLike, frame_shape: Shape) -> torch.Tensor:
    """Return the patches (n, h, w) of a canvas (H, W) at whole-pixel corners (n, 2)."""
    whole = as_tensor(corners, canvas).long()
    check_inside_if_known(whole, frame_shape, (canvas.shape[0], canvas.shape[1]))
    return cut_blocks(canvas[None], torch.zeros_like(whole[:, 0]), whole, frame_shape)


def scatter_patches(patches: torch.Tensor, corners: ArrayLike, canvas_shape: Shape) -> torch.Tensor:
    """Add patches (n, h, w) into an empty canvas (H, W) at whole-pixel corners (n, 2)."""
    whole = as_tensor(corners, patches).long()
    check_inside_if_known(whole, (patches.shape[1], patches.shape[2]), canvas_shape)
    return add_blocks(patches, torch.zeros_like(whole[:, 0]), whole, (1, *canvas_shape))[0]


def diffract(obj: torch.Tensor, origin: ArrayLike, probe: torch.Tensor, positions: ArrayLike) -> torch.Tensor:
    """Return the far fields F ψ_jm (n, m, h, w) of an object (H, W) under modes (m, h, w) at positions (n, 2)."""
    places = float64(positions, obj)
    check_experiment(obj.shape, probe.shape, places.shape)
    h, w = probe.shape[1:]
    index = places - float64(origin, obj)
    whole = torch.floor(index + 0.5)
    corners = whole.long() - torch.tensor([h // 2, w // 2], device=obj.device)
    patches = extract_patches(obj, corners, (h, w))
    return propagate(shift_probe(probe, index - whole) * patches[:, None])


def predict_intensity(
    obj: torch.Tensor,
    origin: ArrayLike,
    probe: torch.Tensor,
    positions: ArrayLike,
    *,
    gain: float = 1.0,
    background: ArrayLike = 0.0,
    mask: ArrayLike | None = None,
) -> torch.Tensor:
    """Return λ (n, h, w) = gain · Σ_m |F ψ_jm|² + background, 0 off the mask."""
    return _detect(diffract(obj, origin, probe, positions), gain, background, mask)


def predict_patches(
    patches: torch.Tensor,
    probe: torch.Tensor,
    *,
    gain: float = 1.0,
    background: ArrayLike = 0.0,
    mask: ArrayLike | None = None,
) -> torch.Tensor:
    """Return λ (..., h, w) of object patches (..., h, w) that lie under the modes (m, h, w) already."""
    check_patches(patches.shape, probe.shape)
    return _detect(propagate(probe * patches[..., None, :, :]), gain, background, mask)


def sample_groups(canvases: torch.Tensor, offsets: ArrayLike, frame_shape: Shape) -> torch.Tensor:
    """Cut the patches (B, h, w, C) of each group from its canvas (B, H, W, 1) at true offsets (B, C, 2)."""
    places = float64(offsets, canvases)
    check_axes("canvases", canvases.shape, "(B, H, W, 1)")
    b, height, width, _ = canvases.shape
    c = places.shape[1]
    check_groups((b, *frame_shape, c), places.shape)
    owners, points = _place(places, frame_shape, (height, width))
    windows = sample_windows(canvases[..., 0], owners, points, frame_shape)
    return windows.reshape(b, c, *frame_shape).movedim(1, -1)


def spread_groups(patches: torch.Tensor, offsets: ArrayLike, padded_shape: Shape) -> torch.Tensor:
    """Add the patches (B, h, w, C) of each group into an empty canvas (B, H, W, 1)."""
    places = float64(offsets, patches)
    check_groups(patches.shape, places.shape)
    b, h, w, c = patches.shape
    owners, points = _place(places, (h, w), padded_shape)
    windows = patches.movedim(-1, 1).reshape(b * c, h, w)
    return spread_windows(windows, owners, points, (b, *padded_shape))[..., None]


def accumulate_groups(
    patches: torch.Tensor, offsets: ArrayLike, weights: ArrayLike, padded_shape: Shape
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return Σ_k T_kᴴ(w O_k) and Σ_k T_kᴴ w, each (B, H, W, 1)."""
    places = float64(offsets, patches)
    w = as_tensor(weights, patches, patches.real.dtype)
    check_groups(patches.shape, places.shape, w.shape)
    numerator = spread_groups(w[..., None] * patches, places, padded_shape)
    return numerator, spread_groups(w[..., None].expand(patches.shape), places, padded_shape)


def merge_groups(
    patches: torch.Tensor, offsets: ArrayLike, weights: ArrayLike, padded_shape: Shape
) -> tuple[torch.Tensor, torch.Tensor]:
    """Merge the patches of each group: O = Σ_k T_kᴴ(w O_k) / Σ_k T_kᴴ w (B, H, W, 1), and its support."""
    numerator, denominator = accumulate_groups(patches, offsets, weights, padded_shape)
    largest = denominator.amax(dim=(1, 2), keepdim=True)
    support = (denominator >= SUPPORT_LIMIT * largest) & (denominator > 0)
    merged = numerator / torch.where(support, denominator, torch.ones_like(denominator))
    return torch.where(support, merged, torch.zeros_like(merged)), support


def accumulate_canvas(
    patches: torch.Tensor, positions: ArrayLike, weights: ArrayLike, origin: ArrayLike, canvas_shape: Shape
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return Σ_j T_jᴴ(w O_j) and Σ_j T_jᴴ w on the one canvas of all groups, each (H, W)."""
    places = float64(positions, patches)
    check_groups(patches.shape, places.shape)
    b, h, w, c = patches.shape
    joined = patches.permute(1, 2, 0, 3).reshape(1, h, w, b * c)
    offsets = places - float64(origin, patches) - places.new_tensor([size // 2 for size in canvas_shape])
    sums = accumulate_groups(joined, offsets.reshape(1, b * c, 2), weights, canvas_shape)
    return sums[0][0, ..., 0], sums[1][0, ..., 0]


def _place(offsets: torch.Tensor, frame_shape: Shape, canvas_shape: Shape) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the group (B·C,) of each patch and the index (B·C, 2) of its sample (0, 0) on that group's canvas."""
    start = [canvas // 2 - frame // 2 for canvas, frame in zip(canvas_shape, frame_shape, strict=True)]
    points = offsets + offsets.new_tensor(start)
    check_inside_if_known(points, frame_shape, canvas_shape)
    groups = torch.arange(offsets.shape[0], device=offsets.device)
    return groups.repeat_interleave(offsets.shape[1]), points.reshape(-1, 2)


def _ramps(offsets: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Return the ramps (n, h, w) complex128 that spectra with DC at the corner are multiplied by."""
    ramp_y, ramp_x = (
        torch.exp(TURN * offsets[:, axis, None] * torch.fft.fftfreq(size, dtype=offsets.dtype).to(offsets))
        for axis, size in enumerate(shape)
    )
    return ramp_y[:, :, None] * ramp_x[:, None, :]


def _detect(fields: torch.Tensor, gain: float, background: ArrayLike, mask: ArrayLike | None) -> torch.Tensor:
    """Return gain · Σ_m |F ψ_m|² + background of far fields (..., m, h, w), 0 off the mask."""
    power = sum_modes(fields)
    expected = gain * power + as_tensor(background, power, power.dtype)
    return expected if mask is None else expected * as_tensor(mask, power)
