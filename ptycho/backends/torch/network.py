"""The network of a specification in PyTorch: `ptycho.nets.specification` says what it computes."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.nn.functional import gelu, interpolate, pad

from ptycho.backends.torch import losses
from ptycho.backends.torch.consistency import Projection, light_groups, predict_groups
from ptycho.backends.torch.operators import accumulate_groups, sample_groups, sum_modes
from ptycho.backends.torch.windows import float64
from ptycho.nets.layers import list_layers
from ptycho.nets.specification import MERGE_FLOOR, NetworkKind, Specification, TrainingLoss
from ptycho.physics.statistics import LAMBDA_FLOOR

__all__ = ["Correction", "UnrolledNetwork"]


class Correction(nn.Module):
    """The convolutions of one stage; see `ptycho.nets.layers`."""

    def __init__(self, specification: Specification) -> None:
        super().__init__()
        for layer in list_layers(specification):
            padding = layer.size // 2 if layer.stride == 1 else 0
            module = nn.Conv2d(layer.inputs, layer.outputs, layer.size, stride=layer.stride, padding=padding)
            self.add_module(layer.name, module)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return corrections (B, 2, H, W) of features (B, 5, H, W)."""
        x = gelu(self.first(_to_blocks(features).contiguous(memory_format=torch.channels_last)))
        x = x + gelu(self.fine(x))
        y = gelu(self.down(x))
        y = y + gelu(self.coarse(y))
        y = interpolate(self.up(y), scale_factor=2, mode="nearest")
        x = gelu(self.join(torch.cat((y, x), dim=1)))
        return _from_blocks(self.last(x))


class UnrolledNetwork(nn.Module):
    """Objects of groups from their amplitudes.

    Parameters
    ----------
    specification
        What to compute.
    probe
        (m, h, w) complex, normalised; its precision is the network's.
    mask
        (h, w) bool, or None when every pixel is believed.
    scale
        s: normalised amplitude = s √k.
    """

    def __init__(
        self, specification: Specification, probe: torch.Tensor, mask: torch.Tensor | None, scale: float
    ) -> None:
        super().__init__()
        self.specification = specification
        self.stages = nn.ModuleList(Correction(specification) for _ in range(specification.stages))
        self.register_buffer("probe", probe, persistent=False)
        self.register_buffer("mask", mask, persistent=False)
        self.scale = scale

    def forward(self, amplitudes: torch.Tensor, offsets: ArrayLike) -> torch.Tensor:
        """Return objects (B, H, W, 1) of amplitudes (B, h, w, C) at offsets (B, C, 2)."""
        spec = self.specification
        waves, whole = light_groups(self.probe, offsets)
        canvases = torch.ones(
            (len(amplitudes), *spec.canvas_shape, 1), dtype=self.probe.dtype, device=self.probe.device
        )
        projection = Projection(amplitudes, whole, waves, spec.canvas_shape, mask=self.mask)
        light = projection.light[..., 0]
        for stage in self.stages:
            before = projection.move(canvases, steps=spec.projections - 1)
            canvases = projection.move(before)
            canvases = canvases + self._correct(stage, canvases[..., 0], before[..., 0], light)[..., None]
        return canvases

    def loss(self, amplitudes: torch.Tensor, offsets: ArrayLike, targets: torch.Tensor | None = None) -> torch.Tensor:
        """Return the training loss of examples: what `forward` takes, with `overlap` frames each."""
        spec = self.specification
        places = float64(offsets, amplitudes)
        canvases = self._merge(amplitudes, places)
        waves, whole = light_groups(self.probe, places)
        if spec.kind is NetworkKind.SUPERVISED:
            patches = sample_groups(canvases, whole, spec.frame_shape)
            light = sum_modes(self.probe)[..., None]
            return losses.complex_mae(targets * light, patches * light) / light.mean()
        model = predict_groups(canvases, whole, waves, mask=self.mask).movedim(-1, 1)
        measured = amplitudes.square().movedim(-1, 1)
        if spec.loss is TrainingLoss.AMPLITUDE:
            return losses.amplitude_mse(measured, model + LAMBDA_FLOOR, self.mask)
        # In photons, and double: terms of a million photons a pixel differ by less than one.
        unit = self.scale**2
        counts, expected = measured.double() / unit, model.double() / unit
        excess = losses.poisson_nll(counts, expected, self.mask) - losses.poisson_nll(counts, counts, self.mask)
        return excess * unit

    def _merge(self, amplitudes: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """Return the one object that the frames of each example see, (B, *merged_shape, 1)."""
        spec = self.specification
        if spec.overlap == spec.group_size:
            objects: torch.Tensor = self(amplitudes, offsets)
            return objects
        b, h, w, c = amplitudes.shape
        whole = torch.floor(offsets + 0.5)
        singles = amplitudes.movedim(-1, 1).reshape(b * c, h, w, 1)
        objects = self(singles, (offsets - whole).reshape(b * c, 1, 2))
        patches = sample_groups(objects, torch.zeros_like(offsets).reshape(b * c, 1, 2), (h, w))
        patches = patches.reshape(b, c, h, w).movedim(1, -1)
        sums, weights = accumulate_groups(patches, whole, sum_modes(self.probe), spec.merged_shape)
        return sums / (weights + MERGE_FLOOR * weights.amax(dim=(1, 2), keepdim=True))

    def _correct(
        self, stage: nn.Module, canvases: torch.Tensor, before: torch.Tensor, light: torch.Tensor
    ) -> torch.Tensor:
        """Return the correction (B, H, W) of a stage: 0 outside the window."""
        (height, width), (rows, columns) = self.specification.canvas_shape, self.specification.window_shape
        top, left = (height - rows) // 2, (width - columns) // 2
        now, then, lit = (x[:, top : top + rows, left : left + columns] for x in (canvases, before, light))
        change = now - then
        features = torch.stack((now.real - 1, now.imag, change.real, change.imag, torch.sqrt(lit)), dim=1)
        found = pad(stage(features), (left, width - columns - left, top, height - rows - top))
        return torch.complex(found[:, 0], found[:, 1])


def _to_blocks(images: torch.Tensor) -> torch.Tensor:
    """Return (B, 4c, H/2, W/2) of (B, c, H, W), channels in order (row in block, column, channel)."""
    b, c, height, width = images.shape
    blocks = images.reshape(b, c, height // 2, 2, width // 2, 2).permute(0, 3, 5, 1, 2, 4)
    return blocks.reshape(b, 4 * c, height // 2, width // 2)


def _from_blocks(blocks: torch.Tensor) -> torch.Tensor:
    """Undo `_to_blocks`."""
    b, channels, height, width = blocks.shape
    images = blocks.reshape(b, 2, 2, channels // 4, height, width).permute(0, 3, 4, 1, 5, 2)
    return images.reshape(b, channels // 4, 2 * height, 2 * width)
