"""`ptycho.config.config`: the published records of settings, mutable as published, checked when they are used."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptycho.checks import check_whole, parse_choice
from ptycho.errors import ConfigError
from ptycho.nets.specification import NetworkKind, TrainingLoss

__all__ = [
    "InferenceConfig",
    "ModelConfig",
    "TrainingConfig",
    "check_settings",
    "choose_loss",
    "count_filters",
    "read_training_config",
    "update_legacy_dict",
]

FILTERS_PER_SCALE = 12  # n_filters_scale 2, the published default, gives the library's 24 filters
LEGACY_NAMES = {
    "object_big": "object.big",
    "probe_big": "probe.big",
    "probe_mask": "probe.mask",
    "probe_trainable": "probe.trainable",
    "positions_provided": "positions.provided",
    "intensity_scale_trainable": "intensity_scale.trainable",
    "train_data_file": "train_data_file_path",
    "test_data_file": "test_data_file_path",
    "output_dir": "output_prefix",
}  # published field to published setting, where they differ


@dataclass
class ModelConfig:
    """What a network is.

    Attributes
    ----------
    N
        Pixels of a frame along its last axis.
    gridsize
        A group has gridsize² frames.
    n_filters_scale
        Width of the network, in units of 12 channels.
    model_type
        "pinn", or "supervised": the Baseline, which learns from labels.
    amp_activation, object_big, probe_big, probe_mask, pad_object, probe_scale, gaussian_smoothing_sigma
        Of the ancestor's architecture: kept, and without a counterpart here.
    """

    N: int = 64
    gridsize: int = 1
    n_filters_scale: int = 2
    model_type: str = "pinn"
    amp_activation: str = "sigmoid"
    object_big: bool = True
    probe_big: bool = True
    probe_mask: bool = False
    pad_object: bool = True
    probe_scale: float = 4.0
    gaussian_smoothing_sigma: float = 0.0


@dataclass
class TrainingConfig:
    """How a network is trained.

    Attributes
    ----------
    model
        What is trained.
    train_data_file, test_data_file, output_dir
        For programs that read and write files.
    batch_size, nepochs
        Groups in a step; passes over the groups.
    mae_weight, nll_weight
        One of them above 0: which chooses between amplitudes and the Poisson likelihood.
    realspace_mae_weight, realspace_weight, probe_trainable
        Only 0, 0 and False: no such loss, and no such training.
    positions_provided
        Only True.
    nphotons, intensity_scale_trainable
        Kept, and not needed: dose and scale are those of the data.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    train_data_file: Path | None = None
    test_data_file: Path | None = None
    batch_size: int = 16
    nepochs: int = 60
    mae_weight: float = 0.0
    nll_weight: float = 1.0
    realspace_mae_weight: float = 0.0
    realspace_weight: float = 0.0
    nphotons: float = 1e9
    positions_provided: bool = True
    probe_trainable: bool = False
    intensity_scale_trainable: bool = True
    output_dir: Path = Path("training_outputs")


@dataclass
class InferenceConfig:
    """What is inferred: a bundle in the folder `model_path`, on the frames of `test_data_file`."""

    model: ModelConfig = field(default_factory=ModelConfig)
    model_path: Path | None = None
    test_data_file: Path | None = None
    debug: bool = False
    output_dir: Path = Path("inference_outputs")


def update_legacy_dict(cfg: MutableMapping[str, Any], config: ModelConfig | TrainingConfig | InferenceConfig) -> None:
    """Write a record into a dictionary of published settings (`ptycho.params.cfg`), its model's fields among them."""
    values: dict[str, Any] = {}
    for record in (config, getattr(config, "model", None)):
        if record is not None:
            fields = {item.name: getattr(record, item.name) for item in dataclasses.fields(record)}
            values |= {LEGACY_NAMES.get(name, name): value for name, value in fields.items() if name != "model"}
    cfg.update({name: str(value) if isinstance(value, Path) else value for name, value in values.items()})


def read_training_config(cfg: Mapping[str, Any], **model: Any) -> TrainingConfig:  # noqa: ANN401 -- fields
    """Return the record of published settings; fields of the model that are given come before them."""

    def read(record: type[Any], left_out: set[str]) -> dict[str, Any]:
        names = {item.name for item in dataclasses.fields(record)} - left_out
        return {name: cfg[LEGACY_NAMES.get(name, name)] for name in names}

    paths = {"train_data_file", "test_data_file", "output_dir"}
    return TrainingConfig(
        ModelConfig(**{**read(ModelConfig, set()), **model}), **read(TrainingConfig, {"model", *paths})
    )


def check_settings(config: ModelConfig | TrainingConfig) -> None:
    """Raise unless the library can do what a record asks.

    Raises
    ------
    ConfigError
        With the field, what it holds and what it may.
    """
    if isinstance(config, TrainingConfig):
        check_settings(config.model)
        choose_loss(config)
        for name, only in (
            ("realspace_mae_weight", 0),
            ("realspace_weight", 0),
            ("probe_trainable", False),
            ("positions_provided", True),
        ):
            if getattr(config, name) != only:
                raise ConfigError(f"{name}: expected {only}, which is all there is, found {getattr(config, name)!r}")
        return
    for name in ("N", "gridsize", "n_filters_scale"):
        check_whole(name, getattr(config, name))
    parse_choice("model_type", config.model_type, NetworkKind)


def choose_loss(config: TrainingConfig) -> TrainingLoss:
    """Return the loss that the weights of a record choose.

    Raises
    ------
    ConfigError
        If neither or both are above 0.
    """
    poisson, amplitude = config.nll_weight > 0, config.mae_weight > 0
    if poisson == amplitude:
        raise ConfigError(
            f"nll_weight, mae_weight: expected one above 0 and the other 0, found {config.nll_weight} and "
            f"{config.mae_weight}; losses are not mixed"
        )
    return TrainingLoss.POISSON if poisson else TrainingLoss.AMPLITUDE


def count_filters(config: ModelConfig) -> int:
    """Return the channels of the network."""
    return FILTERS_PER_SCALE * config.n_filters_scale
