"""The training loop: epochs of steps, a validation and a checkpoint after each, whatever the framework."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ptycho.data.examples import Examples
from ptycho.data.streaming import Batches
from ptycho.errors import ConfigError, DataError, PtychoError, TrainingError
from ptycho.nets.layers import Weights, check_weights
from ptycho.nets.network import Network
from ptycho.nets.specification import NetworkKind
from ptycho.train.checkpoint import CURE, Checkpoint, check_run, describe_run, load_checkpoint, save_checkpoint
from ptycho.train.history import Ending, EpochRecord, History, StepRecord
from ptycho.train.options import TrainOptions

__all__ = ["Report", "train"]

Report = Callable[[StepRecord | EpochRecord], None]


def train(
    network: Network,
    training: Examples,
    validation: Examples | None = None,
    options: TrainOptions | None = None,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    report: Report | None = None,
) -> History:
    """Train a network in place, from the weights it has.

    Parameters
    ----------
    network
        Ends with the weights of its best epoch, and an optimiser that has forgotten its steps; without validation
        with what the last step left.
    training, validation
        What it learns from, and what it is judged by after each epoch. Groups that share frames with those of the
        training flatter it: `ptycho.data.validation.split_strip` keeps them apart.
    options
        `TrainOptions()` by default.
    checkpoint
        File written after each epoch, replacing what is there: a process that is killed loses what it did since.
    resume
        Take up the training of `checkpoint` after its last whole epoch, in either framework; without such a file,
        begin. The end is that of a training that was never interrupted. One that is over only gives its
        weights and history. Nothing but `use_streaming` may differ, not even `epochs` or `seconds`: the learning
        rate falls along one curve over all of them, so there is no longer training that a shorter one begins.
    report
        Called after each step and, its checkpoint written, after each epoch.

    Raises
    ------
    ConfigError
        If options contradict each other, or the checkpoint is that of another training.
    DataError
        If the checkpoint is damaged, or a supervised network gets examples without labels.
    ShapeError
        If the examples are not of the network's shape.
    TrainingError
        If a loss or a weight is not finite. The checkpoint of the last whole epoch stays.
    """
    options = options or TrainOptions()
    began = options.clock.read()
    _check_request(network, training, validation, options)
    if resume and checkpoint is None:
        raise ConfigError("training: resume: expected the checkpoint to take up, found none; name its file")
    held = _hold(training, options), None if validation is None else _hold(validation, options)
    run = {} if checkpoint is None else describe_run(network, *held, options)
    history, best = History(), Weights()
    if resume and checkpoint is not None and checkpoint.exists():
        history, best = _take_up(network, checkpoint, run)
    if history.ending is None:
        loop = _Loop(network, *held, options, report, began - history.seconds)
        while history.ending is None:
            record = loop.run_epoch(len(history.epochs) + 1)
            history = History((*history.epochs, record))
            history = replace(history, ending=_find_ending(history, options))
            if validation is not None and history.best is record:
                best = network.weights()
            if checkpoint is not None:
                save_checkpoint(checkpoint, Checkpoint(run, history, network.state(), best))
            if report is not None:
                report(record)
    if best:
        network.restore({f"weights/{name}": value for name, value in best.items()})
    return history


@dataclass(frozen=True, eq=False)
class _Loop:
    """What all epochs have in common; `began` is when the training would have begun without pauses."""

    network: Network
    training: Examples
    validation: Examples | None
    options: TrainOptions
    report: Report | None
    began: float

    def run_epoch(self, epoch: int) -> EpochRecord:
        """Do the steps of an epoch, or those there is time for, and validate."""
        options = self.options
        batches = Batches(len(self.training), options.batch_size, options.seed)
        total, seen, steps = 0.0, 0, len(batches)
        for step, indices in enumerate(batches.indices(epoch - 1), start=1):
            done = (epoch - 1) * steps + step
            rate = options.rate_at(done - 1, options.epochs * steps, self._used())
            loss = self.network.step(self.training.read(indices), rate)
            self._check_finite(loss, f"epoch {epoch}, step {step}: loss")
            total, seen = total + loss * len(indices), seen + len(indices)
            if self.report is not None:
                left = self._estimate_left(done, options.epochs * steps)
                self.report(StepRecord(epoch, options.epochs, step, steps, loss, left))
            if options.seconds is not None and self._used() >= options.seconds:
                break
        for name, weight in self.network.weights().items():
            self._check_finite(float(np.abs(weight).max()), f"epoch {epoch}: weight {name}")
        validation_loss = self._validate(epoch)
        return EpochRecord(epoch, step, total / seen, rate, self._used(), validation_loss)

    def _validate(self, epoch: int) -> float | None:
        """Return the mean loss over the validation examples."""
        if self.validation is None:
            return None
        batches = Batches(len(self.validation), self.options.batch_size)
        losses = [len(some) * self.network.loss(self.validation.read(some)) for some in batches.indices()]
        self._check_finite(sum(losses), f"epoch {epoch}: validation loss")
        return sum(losses) / len(self.validation)

    def _check_finite(self, value: float, what: str) -> None:
        """Raise unless training can go on."""
        if not math.isfinite(value):
            raise TrainingError(
                f"{what}: expected a finite value, found {value}; begin anew with a lower rate than "
                f"{self.options.rate:g}, and look for NaN and for frames far brighter than the others"
            )

    def _used(self) -> float:
        """Return the seconds since training began."""
        return self.options.clock.read() - self.began

    def _estimate_left(self, done: int, steps: int) -> float:
        """Return the seconds that the steps left, or the time limit, will take."""
        used, limit = self._used(), self.options.seconds
        left = used / done * (steps - done)
        return left if limit is None else max(0.0, min(left, limit - used))


def _check_request(network: Network, training: Examples, validation: Examples | None, options: TrainOptions) -> None:
    """Raise unless these examples and options can train this network."""
    if options.patience is not None and validation is None:
        raise ConfigError("training: patience: expected validation examples to judge epochs by, found none")
    for name, examples in (("training", training), ("validation", validation)):
        supervised = network.specification.kind is NetworkKind.SUPERVISED
        if examples is not None and examples.targets is None and supervised:
            raise DataError(f"{name}: expected labels for a supervised network, found none; make_examples(labels=True)")


def _take_up(network: Network, path: Path, run: dict[str, object]) -> tuple[History, Weights]:
    """Bring a network to where its checkpoint left it; return history and best weights."""
    saved = load_checkpoint(path)
    try:
        check_run(saved.run, run)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        for weights in saved.list_weights():
            check_weights(network.specification, weights)
        network.restore(saved.state)
    except PtychoError as error:
        raise DataError(f"{path}: {error}; {CURE}") from error
    return saved.history, saved.best


def _hold(examples: Examples, options: TrainOptions) -> Examples:
    """Return examples as they are to be read."""
    return examples if options.streams(len(examples)) else examples.in_memory()


def _find_ending(history: History, options: TrainOptions) -> Ending | None:
    """Return why the training is over, or None if it is not."""
    done, best = len(history.epochs), history.best
    if done == options.epochs:
        return Ending.EPOCHS
    if options.patience is not None and best is not None and done - best.epoch >= options.patience:
        return Ending.PATIENCE
    if options.seconds is not None and history.seconds >= options.seconds:
        return Ending.SECONDS
    return None
