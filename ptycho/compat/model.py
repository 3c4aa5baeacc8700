"""`ptycho.model`: networks under their published names; every model is an object of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptycho.checks import check_whole
from ptycho.compat import params
from ptycho.compat.config import (
    FILTERS_PER_SCALE,
    ModelConfig,
    TrainingConfig,
    check_settings,
    choose_loss,
    count_filters,
    read_training_config,
)
from ptycho.compat.loader import Framework, PtychoDataContainer
from ptycho.compat.samples import find_gridsize, find_probe, make_training_examples
from ptycho.data.scan import DataKind
from ptycho.data.validation import split_examples
from ptycho.errors import ConfigError, ShapeError
from ptycho.nets import (
    Bundle,
    Illumination,
    Network,
    Specification,
    TrainingLoss,
    build_network,
    illuminate,
    save_bundle,
    specify,
)
from ptycho.nets.bundle import BUNDLE_FILE
from ptycho.nets.layers import start_weights
from ptycho.nets.network import FRAMEWORKS
from ptycho.physics.groups import read_offsets
from ptycho.physics.shapes import check_shape
from ptycho.train import EpochRecord, History, StepRecord, TrainOptions
from ptycho.train import train as train_network

__all__ = ["PtychoModel", "TrainingHistory", "create_model_with_gridsize", "train"]

VALIDATION_FRACTION = 0.1
FEWEST_EXAMPLES = 10  # fewer are not divided


class PtychoModel:
    """A network: what it shall be before `train`, and what it has learned afterwards.

    Parameters
    ----------
    config
        What it shall be.
    framework
        "tensorflow" or "torch".

    Attributes
    ----------
    bundle
        The trained network, None before.

    Raises
    ------
    ConfigError
        If the settings cannot be had.
    """

    def __init__(self, config: ModelConfig | None = None, *, framework: str = "tensorflow") -> None:
        self.config = config or ModelConfig()
        check_settings(self.config)
        if framework not in FRAMEWORKS:
            raise ConfigError(f"framework: expected one of {', '.join(FRAMEWORKS)}, found {framework!r}")
        self.framework = framework
        self.bundle: Bundle | None = None
        self._networks: dict[tuple[Specification, bytes], Network] = {}

    @classmethod
    def from_bundle(cls, bundle: Bundle, *, framework: str = "tensorflow") -> PtychoModel:
        """Return the model of a trained network, in either framework."""
        found = bundle.specification
        width = max(1, round(found.filters / FILTERS_PER_SCALE))
        model = cls(ModelConfig(found.frame_shape[1], found.gridsize, width, found.kind.value), framework=framework)
        model.replace_bundle(bundle)
        return model

    @property
    def intensity_scale(self) -> float:
        """1/s: a normalised amplitude times this is √counts."""
        return self.require_bundle().illumination.normalisation.intensity_scale

    def require_bundle(self) -> Bundle:
        """Return the trained network.

        Raises
        ------
        ConfigError
            If there is none yet.
        """
        if self.bundle is None:
            raise ConfigError("model: expected a trained one, found one that has learned nothing; call train first")
        return self.bundle

    def replace_bundle(self, bundle: Bundle) -> None:
        """Take what was learned."""
        self.bundle = bundle
        self._networks.clear()

    def predict(
        self,
        inputs: Any,  # noqa: ANN401 -- arrays or tensors
        batch_size: int = 32,
        verbose: int | str = 0,
        *,
        mask: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.complex64]:
        """Return the objects of groups, each about the centre of its group.

        Parameters
        ----------
        inputs
            ``[X * intensity_scale, local_offsets]``: amplitudes √counts (B, h, w, C), and (B, 1, 2, C) relative
            coordinates; for single frames (C = 1) also the amplitudes alone.
        batch_size
            Groups predicted at a time. It changes memory; the result does not depend on it but for rounding.
        verbose
            Published, and not looked at.
        mask
            (h, w) bool, False where these amplitudes cannot be believed; the mask of the training holds in any case.

        Returns
        -------
        array
            (B, H, W, 1) complex64 on the canvas of the training. A group that reaches further is predicted on a
            larger one, from which this part is cut.

        Raises
        ------
        ConfigError
            If the model has learned nothing, or the batch is smaller than one group.
        ShapeError
            If shapes do not fit each other, or the network.
        DataError
            If an amplitude that is believed is not finite, or below 0.
        """
        bundle = self.require_bundle()
        batch_size = check_whole("batch_size", batch_size)
        light = bundle.illumination.restrict(mask)
        frames, offsets = _split_inputs(inputs, bundle.specification)
        scale = light.normalisation.scale
        objects = np.zeros((len(frames), *bundle.specification.canvas_shape, 1), np.complex64)
        for start in range(0, len(frames), batch_size):
            part = slice(start, start + batch_size)
            amplitudes = (scale * np.asarray(frames[part], np.float64)).astype(np.float32)
            for specification, some in _sort_by_canvas(bundle.specification, offsets[part]).items():
                found = self._build(specification, light).predict(amplitudes[some], offsets[part][some])
                objects[part][some] = _crop(found, bundle.specification.canvas_shape)
        return objects

    def save(self, folder: Path | str) -> Path:
        """Write the trained network into a folder and return the path of its file.

        Raises
        ------
        ConfigError
            If it has learned nothing.
        """
        path = Path(folder) / BUNDLE_FILE
        save_bundle(path, self.require_bundle())
        return path

    def _build(self, specification: Specification, light: Illumination) -> Network:
        """Return the network on the canvas of a specification and under a mask, built once."""
        key = specification, light.mask.tobytes()
        if key not in self._networks:
            weights = self.require_bundle().weights
            self._networks[key] = build_network(specification, light, weights, framework=self.framework)
        return self._networks[key]


@dataclass(frozen=True, eq=False)
class TrainingHistory:
    """What a training returns, as published.

    Attributes
    ----------
    history
        A value an epoch: "loss", "lr", and "val_loss" if there was a validation.
    epoch
        Numbers of the epochs, from 0.
    model
        What was trained.
    record
        The same as the library keeps it.
    """

    history: dict[str, list[float]]
    epoch: list[int]
    model: PtychoModel
    record: History


def create_model_with_gridsize(
    gridsize: int,
    N: int,
    *,
    framework: str = "tensorflow",
    **fields: Any,  # noqa: ANN401 -- of ModelConfig
) -> PtychoModel:
    """Return a model that has learned nothing; nothing global is looked at or changed.

    Parameters
    ----------
    gridsize, N
        See `ModelConfig`.
    framework
        "tensorflow" or "torch".
    fields
        Further fields of `ModelConfig`.
    """
    return PtychoModel(ModelConfig(N=N, gridsize=gridsize, **fields), framework=framework)


def train(
    nepochs: int,
    trainset: PtychoDataContainer,
    model_instance: PtychoModel | None = None,
    use_streaming: bool | None = None,
    *,
    config: TrainingConfig | None = None,
    seed: int = 0,
    report: Callable[[StepRecord | EpochRecord], None] | None = None,
) -> TrainingHistory:
    """Train a model on a container, and set `ptycho.params` "intensity_scale" to that of the model.

    Parameters
    ----------
    nepochs
        Passes over the samples; the weights of the best one are kept, judged by a tenth of the samples. Fewer than
        ten are not divided: the last weights are kept.
    trainset
        Groups; for a supervised model with `Y_I` and `Y_phi`.
    model_instance
        Trained in place, and further if it was trained before; by default a new one, in the container's framework.
    use_streaming
        Whether samples are computed when their batch comes; None does so above 10,000 samples. The losses do not
        depend on it.
    config
        By default what `ptycho.params` says, for the N and gridsize of the container. The Poisson likelihood is that
        of counts: a container of other numbers is compared by amplitudes, whatever the settings.
    seed
        Of first weights, validation samples, neighbours and batches.
    report
        Called after each step and each epoch.

    Raises
    ------
    ConfigError
        If settings cannot be had, or are not those of the container.
    DataError
        If the container lacks what this training needs.
    """
    model, config = _choose_model(trainset, model_instance, config)
    specification, light, weights, examples = _prepare(model, trainset, config, seed)
    training, validation = (examples, None)
    if len(examples) >= FEWEST_EXAMPLES:
        training, validation = split_examples(examples, VALIDATION_FRACTION, seed)
    network = build_network(specification, light, weights, framework=model.framework)
    options = TrainOptions(epochs=nepochs, batch_size=config.batch_size, seed=seed, use_streaming=use_streaming)
    options = replace(options, use_streaming=options.streams(len(trainset)))
    record = train_network(network, training, validation, options, report=report)
    model.replace_bundle(Bundle(specification, light, network.weights(), {"history": record.to_json()}))
    params.set("intensity_scale", model.intensity_scale)
    history = {"loss": [epoch.loss for epoch in record.epochs], "lr": [epoch.rate for epoch in record.epochs]}
    judged = [epoch.validation_loss for epoch in record.epochs if epoch.validation_loss is not None]
    if judged:
        history["val_loss"] = judged
    return TrainingHistory(history, list(range(len(record.epochs))), model, record)


def _choose_model(
    trainset: PtychoDataContainer, model: PtychoModel | None, config: TrainingConfig | None
) -> tuple[PtychoModel, TrainingConfig]:
    """Return the model to train and how, both of the container's shape."""
    if not isinstance(trainset, PtychoDataContainer):
        raise ConfigError(
            f"trainset: expected a PtychoDataContainer, found {type(trainset).__name__}; see ptycho.loader"
        )
    shape, gridsize = trainset._X_np.shape, find_gridsize(trainset)
    if config is None:
        config = read_training_config(params.cfg, N=shape[2], gridsize=gridsize)
    if model is None:
        torch = trainset.framework is Framework.TORCH
        model = PtychoModel(config.model, framework="torch" if torch else "tensorflow")
    config = replace(config, model=model.config)
    check_settings(config)
    if (config.model.N, config.model.gridsize) != (shape[2], gridsize):
        raise ConfigError(
            f"model: expected N = {shape[2]} and gridsize = {gridsize} for X {shape}, found {config.model.N} and "
            f"{config.model.gridsize}"
        )
    return model, config


def _prepare(
    model: PtychoModel, trainset: PtychoDataContainer, config: TrainingConfig, seed: int
) -> tuple[Specification, Illumination, Any, Any]:
    """Return specification, illumination, weights and examples of a training."""
    known, kind = model.bundle, config.model.model_type
    if known is None:
        normalisation = trainset.normalised().normalisation
        assert normalisation is not None  # noqa: S101 -- it has just been fitted
        light = illuminate(find_probe(trainset), normalisation, trainset.mask)
    else:
        light = known.illumination
    examples = make_training_examples(trainset, light.normalisation, kind, seed)
    counted = trainset.kind in (None, DataKind.COUNTS)
    fresh = specify(
        light.probe,
        examples.offsets,
        kind=kind,
        gridsize=config.model.gridsize,
        loss=choose_loss(config) if counted else TrainingLoss.AMPLITUDE,
        filters=count_filters(config.model),
    )
    if known is None:
        return fresh, light, start_weights(fresh, seed), examples
    return _widen(known.specification, fresh), light, known.weights, examples


def _widen(known: Specification, fresh: Specification) -> Specification:
    """Return the same network on canvases that hold other examples too."""
    names = ("canvas_shape", "window_shape", "merged_shape")
    pairs = {name: zip(getattr(known, name), getattr(fresh, name), strict=True) for name in names}
    shapes: Any = {name: tuple(max(pair) for pair in sizes) for name, sizes in pairs.items()}
    return replace(known, overlap=fresh.overlap, **shapes)


def _split_inputs(
    inputs: Any,  # noqa: ANN401 -- arrays or tensors
    specification: Specification,
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return amplitudes (B, h, w, C) of a network and true offsets (B, C, 2)."""
    parts = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    frames, *others = (_to_numpy(part) for part in parts)
    if frames.ndim != 4 or len(others) > 1 or (not others and frames.shape[3] != 1):
        raise ShapeError(
            "inputs: expected [amplitudes (B, h, w, C), local_offsets (B, 1, 2, C)], the second unless C is 1, found "
            f"{[np.shape(part) for part in parts]}"
        )
    b, c = len(frames), specification.group_size
    check_shape(
        "amplitudes", frames.shape, (b, *specification.frame_shape, c), "as those of the training, groups first"
    )
    coords = others[0] if others else np.zeros((b, 1, 2, 1))
    check_shape("local_offsets", coords.shape, (b, 1, 2, c), f"coordinates of the amplitudes {frames.shape}")
    return frames, read_offsets(coords).astype(np.float64)


def _to_numpy(value: ArrayLike) -> NDArray[Any]:
    """Return an array, or a tensor of either framework, as numpy."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _sort_by_canvas(
    specification: Specification, offsets: NDArray[np.float64]
) -> dict[Specification, NDArray[np.intp]]:
    """Return which groups are predicted on which canvas; it never depends on the other groups of the batch."""
    reach = np.abs(np.floor(offsets + 0.5)).max(axis=1)
    kinds, kind = np.unique(reach, axis=0, return_inverse=True)
    sorted_: dict[Specification, list[NDArray[np.intp]]] = {}
    for number in range(len(kinds)):
        some = np.flatnonzero(kind.ravel() == number)
        sorted_.setdefault(specification.holding(offsets[some]), []).append(some)
    return {canvas: np.sort(np.concatenate(parts)) for canvas, parts in sorted_.items()}


def _crop(objects: NDArray[np.complexfloating], shape: tuple[int, int]) -> NDArray[np.complexfloating]:
    """Return the middle (B, *shape, 1) of objects (B, H, W, 1)."""
    top, left = ((size - wanted) // 2 for size, wanted in zip(objects.shape[1:3], shape, strict=True))
    return objects[:, top : top + shape[0], left : left + shape[1]]
