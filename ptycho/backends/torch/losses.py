"""The losses of `ptycho.physics.losses` in PyTorch: same names, formulas and reductions; see there for each."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import ArrayLike

from ptycho.backends.torch.windows import as_tensor
from ptycho.physics.shapes import check_frames, check_shape
from ptycho.physics.statistics import LAMBDA_FLOOR, SERIES_FROM, deviance_table

__all__ = ["amplitude_mae", "amplitude_mse", "complex_mae", "deviance_ratio", "poisson_nll", "total_variation"]


def poisson_nll(
    counts: torch.Tensor, model: torch.Tensor, mask: ArrayLike | None = None, *, constant: bool = False
) -> torch.Tensor:
    """Return mean(λ' − k ln λ'), λ' = λ + 1e-6, and ln k! if asked for."""
    k, lam, mask = _valid(counts, model, mask)
    floored = lam + LAMBDA_FLOOR
    terms = floored - k * torch.log(floored)
    return _mean(terms + torch.lgamma(k + 1) if constant else terms, mask)


def amplitude_mae(counts: torch.Tensor, model: torch.Tensor, mask: ArrayLike | None = None) -> torch.Tensor:
    """Return mean |√k − √λ|."""
    k, lam, mask = _valid(counts, model, mask)
    return _mean((torch.sqrt(k) - _root(lam)).abs(), mask)


def amplitude_mse(counts: torch.Tensor, model: torch.Tensor, mask: ArrayLike | None = None) -> torch.Tensor:
    """Return mean (√k − √λ)²."""
    k, lam, mask = _valid(counts, model, mask)
    return _mean((torch.sqrt(k) - _root(lam)).square(), mask)


def deviance_ratio(counts: torch.Tensor, model: torch.Tensor, mask: ArrayLike | None = None) -> torch.Tensor:
    """Return Σ 2[λ' − k + k ln(k/λ')] over its expectation for k ~ Poisson(λ'), in float64."""
    k, lam, mask = _valid(counts.double(), model.double(), mask)
    floored = lam + LAMBDA_FLOOR
    terms = 2 * (floored - k + torch.xlogy(k, k) - k * torch.log(floored))
    return _mean(terms, mask) / _mean(_expected_deviance(floored), mask)


def total_variation(images: torch.Tensor) -> torch.Tensor:
    """Return mean |Δ_y O| + mean |Δ_x O| of images (..., h, w)."""
    return torch.diff(images, dim=-2).abs().mean() + torch.diff(images, dim=-1).abs().mean()


def complex_mae(truth: torch.Tensor, estimate: torch.Tensor, mask: ArrayLike | None = None) -> torch.Tensor:
    """Return mean |O − Ô| over valid pixels."""
    check_shape("estimate", estimate.shape, truth.shape, "compare images of one shape")
    mask = _known(truth, estimate, mask)
    difference = truth - estimate
    return _mean((difference if mask is None else torch.where(mask, difference, 0)).abs(), mask)


def _known(counts: torch.Tensor, model: torch.Tensor, mask: ArrayLike | None) -> torch.Tensor | None:
    """Return the mask as a tensor, once all shapes fit."""
    mask = None if mask is None else as_tensor(mask, model)
    check_frames(counts.shape, model.shape, None if mask is None else mask.shape)
    return mask


def _valid(counts: torch.Tensor, model: torch.Tensor, mask: ArrayLike | None) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Return k and λ, both in the precision of λ, with 1 on invalid pixels, and the mask."""
    mask = _known(counts, model, mask)
    counts = counts.to(model.dtype)
    if mask is None:
        return counts, model, None
    return torch.where(mask, counts, 1), torch.where(mask, model, 1), mask


def _root(lam: torch.Tensor) -> torch.Tensor:
    """Return √λ with gradient 0, not infinity, where λ is 0."""
    lit = lam > 0
    return torch.where(lit, torch.sqrt(torch.where(lit, lam, 1)), 0)


def _mean(terms: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return the mean over all valid pixels of all frames."""
    return terms.mean() if mask is None else (terms * mask).sum() / mask.expand(terms.shape).sum()


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _table() -> tuple[torch.Tensor, torch.Tensor]:
    """Return nodes and values of the expected deviance below `SERIES_FROM`."""
    root, table = deviance_table()
    return torch.from_numpy(root), torch.from_numpy(table)


def _expected_deviance(lam: torch.Tensor) -> torch.Tensor:
    """Port of `ptycho.physics.statistics.expected_deviance`."""
    nodes, table = (values.to(lam.device) for values in _table())
    last = len(nodes) - 1
    root = torch.sqrt(lam)
    cell = (torch.sqrt(root.detach() / SERIES_FROM**0.5) * last).long().clamp(0, last - 1)
    part = (root - nodes[cell]) / (nodes[cell + 1] - nodes[cell])
    inverse = 1 / lam.clamp(min=SERIES_FROM)
    low = table[cell] + part * (table[cell + 1] - table[cell])
    return torch.where(lam < SERIES_FROM, low, 1 + inverse / 6 + inverse**2 / 6)
