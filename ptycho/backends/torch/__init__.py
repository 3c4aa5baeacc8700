"""The operators in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptycho.backends.torch import consistency, losses, operators
from ptycho.backends.torch.windows import settle

__all__ = ["asarray", "consistency", "losses", "operators", "to_numpy"]


def asarray(array: NDArray[Any]) -> torch.Tensor:
    """Return a tensor that owns a copy of an array."""
    return torch.tensor(settle(np.asarray(array)))


def to_numpy(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a tensor's values, from any device and without its gradient."""
    values: NDArray[Any] = tensor.detach().resolve_conj().resolve_neg().cpu().numpy()
    return values
