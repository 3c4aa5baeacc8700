"""The published name of inference in PyTorch: the twin of `scripts/inference/inference.py`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ptycho.compat.inference import Settings, group_raw_data, reconstruct
from ptycho.compat.model import PtychoModel
from ptycho.compat.raw_data import RawData
from ptycho.physics import make_canvas

__all__ = ["_run_inference_and_reconstruct"]


def _run_inference_and_reconstruct(
    model: PtychoModel,
    raw_data: RawData,
    config: Settings = None,
    K: int | None = None,
    nsamples: int | None = None,
    quiet: bool = False,  # noqa: FBT001, FBT002, RUF100 -- the published signature
    seed: int = 45,
    chunk: int = 32,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return amplitude and phase of a scan, predicted in PyTorch, whatever the model was trained in.

    Parameters
    ----------
    model
        Of `ptycho.model.train`, or of `ptycho.workflows.components.load_inference_bundle`.
    raw_data
        The scan.
    config
        Checked against the model: N and gridsize.
    K, nsamples, seed
        As in `RawData.generate_grouped_data`; by default C + 1 neighbours, and one group for every frame.
    quiet
        Whether to show no progress on stderr.
    chunk
        Groups predicted at a time; memory grows with it, the result does not depend on it but for rounding.

    Returns
    -------
    amplitude, phase
        (H, W) float32 on `ptycho.physics.make_canvas` of the scan's positions; units, errors and warnings are those
        of `ptycho.compat.inference.reconstruct`.
    """
    groups = group_raw_data(model, raw_data, K, nsamples, seed)
    canvas = make_canvas(raw_data.probe_positions, raw_data.frame_shape)
    return reconstruct(model, groups, config, canvas=canvas, framework="torch", chunk=chunk, quiet=quiet)
