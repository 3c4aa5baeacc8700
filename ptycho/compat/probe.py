"""`ptycho.probe`: the published way to hand over a probe."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.compat import params
from ptycho.data.scan import check_lit
from ptycho.errors import ShapeError

__all__ = ["set_probe_guess"]


def set_probe_guess(
    X_train: Any = None,  # noqa: ANN401 -- published, and not looked at
    probe_guess: Any = None,  # noqa: ANN401 -- an array or a tensor
) -> NDArray[np.complexfloating]:
    """Keep a probe in `ptycho.params`, for containers that have none, and return it.

    Parameters
    ----------
    X_train
        Not looked at: a probe is not guessed from frames.
    probe_guess
        (h, w) or (m, h, w) complex.

    Raises
    ------
    ShapeError
        If it is not a probe, or has no light.
    """
    probe = np.asarray(probe_guess)
    if probe.ndim not in (2, 3) or not np.issubdtype(probe.dtype, np.number) or not np.isfinite(probe).all():
        raise ShapeError(f"probe_guess: expected finite numbers (h, w) or (m, h, w), found {probe.shape} {probe.dtype}")
    check_lit("probe_guess", probe)
    params.cfg["probe"] = probe.astype(np.result_type(probe.dtype, np.complex64))
    kept: NDArray[np.complexfloating] = params.cfg["probe"]
    return kept
