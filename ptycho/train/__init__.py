"""Training of any network: one loop for both frameworks, which can be killed and taken up again."""

from __future__ import annotations

from ptycho.train.history import Ending, EpochRecord, History, StepRecord
from ptycho.train.loop import train
from ptycho.train.options import Clock, TrainOptions

__all__ = ["Clock", "Ending", "EpochRecord", "History", "StepRecord", "TrainOptions", "train"]
