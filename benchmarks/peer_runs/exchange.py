"""What a solver's process reads and writes: one .npz file each way, and a clock for its epochs."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Answer", "Clock", "Task", "answer", "read_task"]

START_PHASE_RAD = 0.1  # spread of the random start, the same for every solver


@dataclass(frozen=True, eq=False)
class Task:
    """What is asked of a solver.

    Attributes
    ----------
    diffraction
        (n, h, w) float32 photon counts, DC at (h//2, w//2).
    positions
        (n, 2) float64, (y, x) in pixels: the canvas coordinate of patch sample (h//2, w//2).
    probe
        (m, h, w) complex64 first guess of all modes, with the power of the data.
    canvas_shape, canvas_origin
        (2,) shape of a canvas with two pixels to spare, and the coordinate of its element [0, 0].
    method
        Which of the solver's methods.
    epochs, seed
        How long, and from which random start.
    """

    diffraction: NDArray[np.float32]
    positions: NDArray[np.float64]
    probe: NDArray[np.complex64]
    canvas_shape: NDArray[np.int64]
    canvas_origin: NDArray[np.float64]
    method: str
    epochs: int
    seed: int

    def start_object(self, shape: tuple[int, ...]) -> NDArray[np.complex64]:
        """Return an empty object with a faint random phase."""
        phase = np.random.default_rng(self.seed).standard_normal(shape)
        return np.exp(1j * START_PHASE_RAD * phase).astype(np.complex64)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a solver found: object (H, W), probe (m, h, w), and the canvas coordinate of the object's [0, 0].

    `own_error` is the last error the solver itself reports, where that is R = Σ(√k − √λ)² / Σk, else NaN.
    """

    object: NDArray[np.complexfloating]
    probe: NDArray[np.complexfloating]
    origin: NDArray[np.float64]
    own_error: float = float("nan")


@dataclass
class Clock:
    """Reads the time at the end of every epoch, and the processor's from start to end; starts when it is made."""

    times: list[float] = field(default_factory=lambda: [time.perf_counter()])
    processor_start: float = field(default_factory=time.process_time)
    processor_seconds: float = 0.0

    def tick(self, *_: object) -> None:
        """Note that an epoch has ended; any arguments of a callback are ignored."""
        self.times.append(time.perf_counter())
        self.processor_seconds = time.process_time() - self.processor_start


def read_task() -> Task:
    """Return the task in the file that the command line names first."""
    with np.load(sys.argv[1], allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return Task(**{name: array.item() if array.ndim == 0 else array for name, array in arrays.items()})


def answer(result: Answer, clock: Clock) -> None:
    """Write a result to the file that the command line names second."""
    np.savez(
        sys.argv[2],
        allow_pickle=False,
        object=result.object.astype(np.complex64),
        probe=result.probe.astype(np.complex64),
        origin=np.asarray(result.origin, np.float64),
        own_error=np.float64(result.own_error),
        epoch_seconds=np.diff(clock.times),
        processor_seconds=np.float64(clock.processor_seconds),
    )
