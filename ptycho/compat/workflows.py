"""`ptycho.workflows.components`: bundles and inference under their older names."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.compat import params
from ptycho.compat.config import InferenceConfig
from ptycho.compat.inference import reconstruct
from ptycho.compat.loader import PtychoDataContainer
from ptycho.compat.model import PtychoModel
from ptycho.compat.raw_data import RawData
from ptycho.nets.bundle import load_bundle

__all__ = ["load_inference_bundle", "perform_inference"]


def load_inference_bundle(
    model_dir: Path | str, *, framework: str = "tensorflow"
) -> tuple[PtychoModel, dict[str, Any]]:
    """Read a trained network, and set `ptycho.params` to its settings; no code is run.

    Parameters
    ----------
    model_dir
        The folder that `PtychoModel.save` or `ptycho train` wrote to, or the bundle itself.
    framework
        In which it shall predict, whatever it was trained in.

    Returns
    -------
    model
        Ready to predict.
    config
        Its settings by their published names: N, gridsize, n_filters_scale, model_type, intensity_scale.

    Raises
    ------
    DataError
        If there is no bundle, or it is damaged.
    """
    model = PtychoModel.from_bundle(load_bundle(Path(model_dir)), framework=framework)
    names = ("N", "gridsize", "n_filters_scale", "model_type")
    config = {name: getattr(model.config, name) for name in names} | {"intensity_scale": model.intensity_scale}
    params.cfg.update(config)
    return model, config


def perform_inference(
    model: PtychoModel,
    test_data: RawData | PtychoDataContainer,
    params_dict: Mapping[str, Any] | None = None,
    config: InferenceConfig | None = None,
    quiet: bool = False,  # noqa: FBT001, FBT002, RUF100 -- the published signature
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return amplitude and phase; deprecated for `_run_tf_inference_and_reconstruct` of `scripts.inference.inference`.

    Parameters
    ----------
    model
        Trained.
    test_data
        A scan, or groups of it.
    params_dict
        Published, and not needed: the model knows its settings.
    config
        Checked against the model.
    quiet
        Whether to show no progress.
    """
    warnings.warn(
        "ptycho.workflows.components.perform_inference is deprecated; call "
        "scripts.inference.inference._run_tf_inference_and_reconstruct",
        DeprecationWarning,
        stacklevel=2,
    )
    return reconstruct(model, test_data, config, quiet=quiet)
