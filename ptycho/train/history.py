"""What is known of a training: its steps as they come, its epochs, and how it ended."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from ptycho.errors import DataError

__all__ = ["Ending", "EpochRecord", "History", "StepRecord"]

SCHEMA = "ptycho-history/1"


class Ending(StrEnum):
    """Why a training is over."""

    EPOCHS = "epochs"  # all were done
    PATIENCE = "patience"  # validation had not improved for as many epochs
    SECONDS = "seconds"  # the time was used up


@dataclass(frozen=True)
class StepRecord:
    """What is known after a step; epochs and steps count from 1, `loss` is that of the batch before the step."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    seconds_left: float

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds_left), 60)
        return (
            f"epoch {self.epoch}/{self.epochs}, step {self.step}/{self.steps}: loss {self.loss:.4g}, "
            f"{minutes}:{seconds:02} left"
        )


@dataclass(frozen=True)
class EpochRecord:
    """What is known after an epoch.

    Attributes
    ----------
    epoch
        Its number, from 1.
    steps
        Steps done in it: fewer than a whole epoch's where the time was used up.
    loss
        Mean over its examples, each before the step it took part in.
    rate
        Learning rate of its last step.
    seconds
        Since training began, pauses between two runs not counted. Two records that differ in nothing else are equal.
    validation_loss
        Mean over the validation examples after the epoch, or None without any.

    Raises
    ------
    DataError
        If a value cannot be one.
    """

    epoch: int
    steps: int
    loss: float
    rate: float
    seconds: float = field(compare=False)
    validation_loss: float | None = None

    def __post_init__(self) -> None:
        for name in ("epoch", "steps"):
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                raise DataError(f"history: {name}: expected a whole number >= 1, found {getattr(self, name)!r}")
        for name in ("loss", "rate", "seconds", "validation_loss"):
            value = getattr(self, name)
            absent = value is None and name == "validation_loss"
            if not absent and not (type(value) in (int, float) and math.isfinite(value)):
                raise DataError(f"history: {name}: expected a finite number, found {value!r}")

    def __str__(self) -> str:
        validation = "" if self.validation_loss is None else f", validation {self.validation_loss:.4g}"
        return f"epoch {self.epoch}: loss {self.loss:.4g}{validation}, {self.seconds:.0f} s"


@dataclass(frozen=True)
class History:
    """The epochs of a training in their order, and how it ended; None while it goes on.

    Raises
    ------
    DataError
        If epochs are missing, or some have a validation loss and some have none.
    """

    epochs: tuple[EpochRecord, ...] = ()
    ending: Ending | None = None

    def __post_init__(self) -> None:
        numbers = [record.epoch for record in self.epochs]
        if numbers != list(range(1, len(numbers) + 1)):
            raise DataError(f"history: expected epochs 1 to {len(numbers)} in this order, found {numbers}")
        if len({record.validation_loss is None for record in self.epochs}) > 1:
            raise DataError("history: expected a validation loss in every epoch or in none, found both")

    @property
    def best(self) -> EpochRecord | None:
        """The first epoch of least validation loss; without validation the last epoch; None before the first."""
        if not self.epochs or self.epochs[-1].validation_loss is None:
            return self.epochs[-1] if self.epochs else None
        return min(self.epochs, key=lambda record: record.validation_loss or 0.0)

    @property
    def seconds(self) -> float:
        """Time used until the end of the last epoch."""
        return self.epochs[-1].seconds if self.epochs else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, schema `ptycho-history/1`."""
        return {
            "schema": SCHEMA,
            "ending": self.ending,
            "best_epoch": self.best.epoch if self.best else None,
            "epochs": [dataclasses.asdict(record) for record in self.epochs],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the history that `to_json` wrote.

        Raises
        ------
        DataError
            If it is of another schema, or a name is missing, unknown, or holds what it cannot.
        """
        if values.get("schema") != SCHEMA:
            raise DataError(f"history: expected schema {SCHEMA}, found {values.get('schema')!r}")
        try:
            ending = None if values["ending"] is None else Ending(values["ending"])
            return cls(tuple(EpochRecord(**record) for record in values["epochs"]), ending)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"history: expected what a training writes, found {error!r}") from error
