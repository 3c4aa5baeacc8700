"""How a network is trained: the options, and the learning rate they give to each step."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from enum import StrEnum

from ptycho.checks import check_number, check_whole, parse_choice
from ptycho.errors import ConfigError

__all__ = ["Clock", "TrainOptions"]

STREAM_ABOVE = 10_000  # examples: fewer are computed once and held
LAST_RATE = 0.01  # of the largest


class Clock(StrEnum):
    """By which time a training is limited."""

    WALL = "wall"
    PROCESSOR = "processor"

    def read(self) -> float:
        """Return seconds since a moment that does not change within a process."""
        return time.perf_counter() if self is Clock.WALL else time.process_time()


@dataclass(frozen=True)
class TrainOptions:
    """How `ptycho.train.train` works.

    Attributes
    ----------
    epochs
        Passes over the examples, at most.
    batch_size
        Examples in a step; the last step of an epoch may have fewer.
    rate
        Largest learning rate.
    warm_up_steps
        Steps over which the rate rises to its largest; 0 begins there.
    patience
        Epochs without a better validation loss after which training stops; None never stops early.
    seed
        Of the order of the examples.
    seconds
        After which training stops, also in the middle of an epoch; validation of what was reached comes after it.
        None sets no limit, and equal runs are then equal bit for bit on one machine.
    clock
        What seconds are: of wall-clock time, or of this process's own time on processors, which other work on the
        machine does not shorten.
    use_streaming
        Whether examples are read where they lie when their batch comes (memory of one batch), or all computed
        before the first step. None reads more than 10,000 where they lie. The losses do not depend on it.

    Raises
    ------
    ConfigError
        If a value cannot be had.
    """

    epochs: int = 60
    batch_size: int = 8
    rate: float = 2e-3
    warm_up_steps: int = 50
    patience: int | None = None
    seed: int = 0
    seconds: float | None = None
    clock: Clock = Clock.WALL
    use_streaming: bool | None = None

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("warm_up_steps", 0), ("patience", 1), ("seed", 0)):
            if name != "patience" or self.patience is not None:
                object.__setattr__(self, name, check_whole(f"training: {name}", getattr(self, name), least))
        object.__setattr__(self, "clock", parse_choice("training: clock", self.clock, Clock))
        if not isinstance(self.use_streaming, bool | None):
            raise ConfigError(f"training: use_streaming: expected True, False or None, found {self.use_streaming!r}")
        object.__setattr__(self, "rate", check_number("training: rate", self.rate, 0, 1))
        if self.seconds is not None:
            seconds = check_number("training: seconds", self.seconds, 0, sys.float_info.max)
            object.__setattr__(self, "seconds", seconds)

    def rate_at(self, step: int, steps: int, used: float) -> float:
        """Return the learning rate of a step: a linear rise, then a cosine down to a hundredth.

        rate · min(1, (step + 1) / warm_up_steps) · (0.01 + 0.99 · ½ (1 + cos π f)), with f the fraction of the
        steps done or of the seconds used, whichever is larger. Cosine: Loshchilov & Hutter (ICLR 2017), eq. 5,
        without restarts.

        Parameters
        ----------
        step, steps
            Steps done, and steps in all epochs.
        used
            Seconds since training began; without a limit they do not matter.
        """
        fraction = step / steps if self.seconds is None else min(1.0, max(step / steps, used / self.seconds))
        rise = min(1.0, (step + 1) / max(1, self.warm_up_steps))
        return self.rate * rise * (LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * fraction)) / 2)

    def streams(self, count: int) -> bool:
        """Return whether `count` examples are read where they lie."""
        return count > STREAM_ABOVE if self.use_streaming is None else self.use_streaming
