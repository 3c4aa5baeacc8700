"""A network trained on one scan: frames kept apart for validation, groups, normalisation, and a bundle at the end."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptycho.checks import check_number, check_whole, parse_choice
from ptycho.data.examples import Examples, make_examples
from ptycho.data.groups import group_chosen
from ptycho.data.normalisation import fit_normalisation
from ptycho.data.rows import pick_rows
from ptycho.data.scan import DataKind, Scan
from ptycho.data.validation import split_strip
from ptycho.errors import ConfigError
from ptycho.nets import Bundle, NetworkKind, TrainingLoss, build_network, illuminate, specify
from ptycho.nets.layers import start_weights
from ptycho.nets.specification import OVERLAP
from ptycho.physics.propagation import ComplexArray
from ptycho.train.history import History
from ptycho.train.loop import Report, train
from ptycho.train.options import TrainOptions

__all__ = ["Recipe", "train_scan"]


@dataclass(frozen=True)
class Recipe:
    """Which network is to be trained, where, and what it is judged by.

    Attributes
    ----------
    kind, gridsize, loss, stages, projections, filters
        See `ptycho.nets.Specification`.
    validation
        Share of the frames, a strip at the end of the scan's longer axis, that the network never sees: at least one
        example's, and none of a scan that has too few for two.
    seed
        Of groups and first weights.
    framework, device
        See `ptycho.nets.build_network`.

    Raises
    ------
    ConfigError
        If there is no such kind or loss, or the share is not in (0, 1).
    """

    kind: NetworkKind = NetworkKind.PINN
    gridsize: int = 2
    loss: TrainingLoss = TrainingLoss.AMPLITUDE
    stages: int = 3
    projections: int = 3
    filters: int = 24
    validation: float = 0.1
    seed: int = 0
    framework: str = "torch"
    device: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", parse_choice("network: kind", self.kind, NetworkKind))
        object.__setattr__(self, "loss", parse_choice("network: loss", self.loss, TrainingLoss))
        for name, least in (("gridsize", 1), ("stages", 1), ("projections", 1), ("filters", 1), ("seed", 0)):
            object.__setattr__(self, name, check_whole(f"network: {name}", getattr(self, name), least))
        object.__setattr__(self, "validation", check_number("split: validation", self.validation, 0, 1))
        if self.validation == 1:
            raise ConfigError("split: validation: expected a share below 1, found 1: nothing is left to learn from")

    @property
    def overlap(self) -> int:
        """Frames of one example: those of a group, but `OVERLAP` single ones where no label tells their object."""
        return OVERLAP if self.gridsize == 1 and self.kind is NetworkKind.PINN else self.gridsize**2


def train_scan(
    scan: Scan,
    frames: ArrayLike | None = None,
    recipe: Recipe | None = None,
    options: TrainOptions | None = None,
    *,
    probe: ComplexArray | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> tuple[Bundle, History]:
    """Train a network on a scan's diffraction, or on its known object if the recipe asks for a supervised one.

    Parameters
    ----------
    scan
        The data, read where they lie; the Poisson loss needs counts.
    frames
        Which to use, as indices or as a mask; all by default.
    recipe, options
        What to train and how, `Recipe()` and `TrainOptions()` by default.
    probe
        (m, h, w) complex in any units, as a rule of a reconstruction; by default the scan's guess. The network
        cannot repair it.
    checkpoint, resume, report
        See `ptycho.train.train`.

    Returns
    -------
    bundle
        What `ptycho.inference.infer` takes.
    history
        The losses.

    Raises
    ------
    ConfigError, DataError, ShapeError, TrainingError
        As `ptycho.train.train`; if the Poisson loss is asked for and the data are not counts.
    """
    recipe, options = recipe or Recipe(), options or TrainOptions()
    if recipe.loss is TrainingLoss.POISSON and scan.kind is not DataKind.COUNTS:
        raise ConfigError(f"{scan.name}: expected counts for the Poisson loss, found {scan.kind}; use loss amplitude")
    chosen = scan.probe if probe is None else probe
    used, size = scan.index_frames(frames), recipe.overlap
    seen, kept = used, used[:0]
    if used.size >= 2 * size:
        parts = split_strip(scan.probe_positions[used], max(recipe.validation, size / used.size))
        seen, kept = used[parts[0]], used[parts[1]]
    normalisation = fit_normalisation(pick_rows(scan.diffraction, seen), scan.mask)
    light = illuminate(chosen, normalisation, scan.mask)

    def prepare(which: NDArray[np.int64], seed: int) -> Examples:
        groups = group_chosen(scan.probe_positions, which, size, seed=seed)
        return make_examples(scan, groups, normalisation, labels=recipe.kind is NetworkKind.SUPERVISED)

    training = prepare(seen, 2 * recipe.seed)
    validation = prepare(kept, 2 * recipe.seed + 1) if kept.size else None
    specification = specify(
        light.probe,
        training.offsets if validation is None else np.concatenate((training.offsets, validation.offsets)),
        kind=recipe.kind,
        gridsize=recipe.gridsize,
        loss=recipe.loss,
        stages=recipe.stages,
        projections=recipe.projections,
        filters=recipe.filters,
    )
    weights = start_weights(specification, recipe.seed)
    network = build_network(specification, light, weights, framework=recipe.framework, device=recipe.device)
    history = train(network, training, validation, options, checkpoint=checkpoint, resume=resume, report=report)
    record = {
        "scan": scan.name,
        "scan_sha256": scan.provenance.get("sha256"),
        "frames": len(seen),
        "validation_frames": len(kept),
        "recipe": dataclasses.asdict(recipe),
        "options": dataclasses.asdict(options),
        "history": history.to_json(),
    }
    return Bundle(specification, light, network.weights(), record), history
