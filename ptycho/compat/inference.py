"""What the published inference functions have in common: a scan or a container in, amplitude and phase out."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.compat.config import InferenceConfig, ModelConfig, TrainingConfig
from ptycho.compat.loader import PtychoDataContainer, load
from ptycho.compat.model import PtychoModel
from ptycho.compat.raw_data import RawData
from ptycho.compat.samples import make_group_examples
from ptycho.data.groups import default_neighbours
from ptycho.data.normalisation import FLUX_LIMIT, fit_normalisation
from ptycho.data.rows import Rows
from ptycho.errors import ConfigError, ShapeError
from ptycho.inference import InferenceProgress, join_groups
from ptycho.nets import Illumination, Specification, build_network
from ptycho.physics import Canvas, make_canvas
from ptycho.progress import Progress

__all__ = ["extract_ground_truth", "group_raw_data", "reconstruct"]

Image = NDArray[np.float32]
Settings = InferenceConfig | TrainingConfig | ModelConfig | Mapping[str, Any] | None


def group_raw_data(
    model: PtychoModel, raw_data: RawData, K: int | None = None, nsamples: int | None = None, seed: int = 45
) -> PtychoDataContainer:
    """Return the groups of a data set that a model can be asked for; nothing large is computed.

    Parameters
    ----------
    model
        Trained.
    raw_data
        Frames of the shape it was trained on.
    K, nsamples, seed
        As in `RawData.generate_grouped_data`; by default C + 1 neighbours, and one group for every frame.

    Raises
    ------
    ShapeError
        If the frames are of another shape.
    """
    wanted = model.require_bundle().specification
    if raw_data.frame_shape != wanted.frame_shape:
        raise ShapeError(
            f"diff3d: expected frames {wanted.frame_shape}, which the model was trained on, found "
            f"{raw_data.frame_shape}"
        )
    grouped = raw_data.generate_grouped_data(
        wanted.frame_shape[1],
        K=default_neighbours(wanted.group_size) if K is None else K,
        nsamples=nsamples,
        gridsize=wanted.gridsize,
        seed=seed,
    )
    return load(lambda: grouped, raw_data.probeGuess, framework="numpy")


def reconstruct(
    model: PtychoModel,
    data: RawData | PtychoDataContainer,
    config: Settings = None,
    *,
    canvas: Canvas | None = None,
    framework: str | None = None,
    chunk: int = 32,
    quiet: bool = True,
) -> tuple[Image, Image]:
    """Return amplitude and phase of the object, (H, W) float32 both.

    Parameters
    ----------
    model
        Trained, PINN or Baseline, in either framework.
    data
        A scan, or groups of it.
    config
        Checked against the model: N and gridsize.
    canvas
        What the images show, its origin without fraction; by default what the positions of the scan, or of the
        groups, can see.
    framework
        Whose network predicts; the model's own by default.
    chunk
        Groups predicted at a time; memory grows with it, the result does not depend on it but for rounding.
    quiet
        Whether to show no progress on stderr.

    Returns
    -------
    amplitude, phase
        1 and 0 where no light fell. The amplitude is in units in which the probe of the training carries the light
        of a mean frame; the phase has one free constant.

    Raises
    ------
    ConfigError
        If the settings are not those of the model.
    ShapeError, DataError
        If the data do not fit the model, positions are missing, or the origin of the canvas has a fraction.

    Warns
    -----
    UserWarning
        If the frames are more than twice as bright, or less than half as bright, as those of the training.
    """
    bundle = model.require_bundle()
    _check_settings(config, bundle.specification)
    if isinstance(data, RawData):
        canvas = canvas or make_canvas(data.probe_positions, data.frame_shape)
        data = group_raw_data(model, data)
    light = bundle.illumination.restrict(data.mask)
    flux = _measure_flux(data, light)
    if not 1 / FLUX_LIMIT <= flux <= FLUX_LIMIT:
        message = f"the frames are {flux:.3g} times as bright as those the model was trained on"
        warnings.warn(message, UserWarning, stacklevel=3)
    examples = make_group_examples(data, light.normalisation)
    network = build_network(
        bundle.specification.holding(examples.offsets),
        light,
        bundle.weights,
        framework=framework or model.framework,
    )
    with Progress(sys.stderr) as progress:

        def report(done: InferenceProgress) -> None:
            left = done.seconds / done.done * (done.total - done.done)
            progress.update(f"{done.done} of {done.total} groups, {left:.0f} s left")

        stitched = join_groups(network, examples, canvas, chunk=chunk, report=None if quiet else report)
    obj = np.where(stitched.support, stitched.object, 1)
    return np.abs(obj).astype(np.float32), np.angle(obj).astype(np.float32)


def extract_ground_truth(raw_data: RawData) -> tuple[Image, Image] | None:
    """Return amplitude and phase of a data set's `objectGuess`, or None if there is none, or it is all the same."""
    obj = raw_data.objectGuess
    if obj is None or np.allclose(obj, obj.flat[0]):
        return None
    return np.abs(obj).astype(np.float32), np.angle(obj).astype(np.float32)


def _measure_flux(data: PtychoDataContainer, light: Illumination) -> float:
    """Return how bright the first frames of all groups are, as a multiple of the frames of the training."""
    amplitudes = data._X_np
    first = Rows(np.arange(len(data)), lambda index: amplitudes[index][..., 0], amplitudes.shape[1:3], amplitudes.dtype)
    done = 1.0 if data.normalisation is None else data.normalisation.scale
    measured = fit_normalisation(first, light.mask, amplitude=True).mean_intensity / done**2
    return measured / light.normalisation.mean_intensity


def _check_settings(config: Settings, specification: Specification) -> None:
    """Raise unless the settings that are stated are those of the network."""
    record = getattr(config, "model", config)
    if isinstance(record, ModelConfig):
        stated: Mapping[str, Any] = {"N": record.N, "gridsize": record.gridsize}
    elif config is None or isinstance(config, Mapping):
        stated = config or {}
    else:
        raise ConfigError(f"config: expected a record of ptycho.config.config, a mapping or None, found {config!r}")
    for name, value in (("N", specification.frame_shape[1]), ("gridsize", specification.gridsize)):
        if stated.get(name, value) != value:
            raise ConfigError(f"config: {name}: expected {value}, that of the model, found {stated[name]!r}")
