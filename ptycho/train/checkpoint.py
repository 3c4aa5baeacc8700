"""A training on disk: all that its next epoch depends on, and what run it belongs to."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.archive import load_arrays, parse_json_entry, parse_text_entry, render_json_entry, save_arrays
from ptycho.data.examples import Examples
from ptycho.data.rows import slabs
from ptycho.errors import ConfigError, DataError
from ptycho.nets.layers import Weights
from ptycho.nets.network import Network
from ptycho.train.history import History
from ptycho.train.options import TrainOptions

__all__ = ["CURE", "Checkpoint", "check_run", "describe_run", "load_checkpoint", "save_checkpoint"]

SCHEMA = "ptycho-checkpoint/1"
CURE = "copy the file again, or begin anew without it"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training after a whole epoch, or after its end.

    Attributes
    ----------
    run
        What may not change between two parts of a training; see `describe_run`.
    history
        Its epochs so far.
    state
        See `ptycho.nets.network.Network.state`.
    best
        The weights of the best epoch; empty without validation.

    Raises
    ------
    DataError
        If there are best weights without validation, or the other way round.
    """

    run: Mapping[str, Any]
    history: History
    state: Mapping[str, NDArray[Any]]
    best: Weights

    def __post_init__(self) -> None:
        best = self.history.best
        if best is None or bool(self.best) != (best.validation_loss is not None):
            raise DataError("checkpoint: expected an epoch, and best weights if it was validated, found otherwise")

    def list_weights(self) -> list[Weights]:
        """Return what must have the shapes of the network's weights: the best, the last, and their moments."""
        parts: dict[str, Weights] = {"best": self.best} if self.best else {}
        for key, value in self.state.items():
            part, _, name = key.partition("/")
            if value.ndim:  # not Adam's count of steps
                parts.setdefault(part, {})[name] = value
        return list(parts.values())


def describe_run(
    network: Network, training: Examples, validation: Examples | None, options: TrainOptions
) -> dict[str, Any]:
    """Return what a training must have in common with the one it continues, as flat JSON values.

    Specification, illumination, precision, examples (their number, and hashes of all positions, amplitudes and
    labels), and every option but `use_streaming`, on which nothing depends.
    """
    light = network.illumination
    settings = dataclasses.asdict(options)
    del settings["use_streaming"]
    return {
        **{f"specification.{name}": value for name, value in network.specification.to_json().items()},
        **{f"options.{name}": value for name, value in settings.items()},
        "precision": str(next(iter(network.weights().values())).dtype),
        "illumination": _digest((light.probe, light.mask, np.array(light.normalisation.mean_intensity))),
        "training examples": _describe(training),
        "validation examples": "none" if validation is None else _describe(validation),
    }


def check_run(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise `ConfigError` that names what differs, unless two runs are the same."""
    names = [name for name in {**found, **expected} if found.get(name) != expected.get(name)]
    if names:
        differences = "; ".join(f"{name}: {found.get(name)!r} there, {expected.get(name)!r} here" for name in names)
        raise ConfigError(
            f"expected the training that is to be resumed, found another: {differences}. Ask for the same again, or "
            "begin a new one with another checkpoint: the rate falls along one curve, so none can be made longer"
        )


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint in the place of the one before it: a reader sees one of them, whole."""
    entries = {
        "schema": np.array(SCHEMA),
        "run": render_json_entry(checkpoint.run),
        "history": render_json_entry(checkpoint.history.to_json()),
    }
    state = {f"state/{name}": value for name, value in checkpoint.state.items()}
    best = {f"best/{name}": value for name, value in checkpoint.best.items()}
    save_arrays(path, {**entries, **state, **best})


def load_checkpoint(path: Path) -> Checkpoint:
    """Read what `save_checkpoint` wrote; no code is run.

    Raises
    ------
    DataError
        If the file is missing, damaged, or not a checkpoint.
    """
    try:
        arrays = load_arrays(path, required=("schema", "run", "history"))
    except DataError as error:
        raise DataError(f"{error}; {CURE}") from error
    schema = parse_text_entry(str(path), "schema", arrays["schema"])
    if schema != SCHEMA:
        raise DataError(f"{path}: expected schema {SCHEMA}, found {schema!r}; {CURE}")
    parts: dict[str, dict[str, NDArray[Any]]] = {"state": {}, "best": {}}
    for key, value in arrays.items():
        part, _, name = key.partition("/")
        if name and part in parts:
            parts[part][name] = value
    try:
        history = History.from_json(parse_json_entry(path, "history", arrays["history"]))
        return Checkpoint(parse_json_entry(path, "run", arrays["run"]), history, parts["state"], parts["best"])
    except DataError as error:
        raise DataError(f"{path}: {error}; {CURE}") from error


def _describe(examples: Examples) -> str:
    """Return how many examples there are, and which."""
    parts = [f"{len(examples)}, positions {_digest([examples.positions])}"]
    for name, rows in (("amplitudes", examples.amplitudes), ("labels", examples.targets)):
        if rows is not None:
            parts.append(f"{name} {_digest(rows[slab] for slab in slabs(rows.shape))}")
    return ", ".join(parts)


def _digest(arrays: Iterable[NDArray[Any]]) -> str:
    """Return the first 16 digits of the SHA-256 of arrays, which need not all be there at once."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
