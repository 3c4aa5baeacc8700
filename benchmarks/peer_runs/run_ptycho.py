"""Ours: minibatch rPIE with the options of `python -m ptycho reconstruct`."""

from __future__ import annotations

import numpy as np
from exchange import Answer, Clock, answer, read_task

from ptycho.data import Scan
from ptycho.solvers import RPIEOptions, reconstruct


def main() -> None:
    """Solve the task of the command line."""
    task = read_task()
    mask = np.ones(task.diffraction.shape[1:], bool)
    scan = Scan("benchmark", task.diffraction, task.positions, task.probe, mask)
    options = RPIEOptions(epochs=task.epochs, modes=len(task.probe), seed=task.seed)
    clock = Clock()
    found = reconstruct(scan, options=options, report=clock.tick)
    answer(Answer(found.object, found.probe, found.origin, found.history[-1]), clock)


if __name__ == "__main__":
    main()
