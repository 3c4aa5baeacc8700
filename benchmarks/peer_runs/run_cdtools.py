"""cdtools: FancyPtycho with Adam, first in small batches at a high rate, then in larger ones at a low rate."""

from __future__ import annotations

from itertools import chain

import numpy as np
import torch
from cdtools.datasets import Ptycho2DDataset
from cdtools.models import FancyPtycho
from exchange import Answer, Clock, answer, read_task

WAVELENGTH_M = 1e-9
DISTANCE_M = 1.0
OBJECT_PIXEL_M = 1e-6  # any geometry with this pixel will do: far-field propagation needs no other number
FIRST_LOOP = 1 / 3  # of the epochs, as in the examples that come with cdtools


def main() -> None:
    """Solve the task of the command line."""
    task = read_task()
    torch.manual_seed(task.seed)
    h, w = task.diffraction.shape[1:]
    detector_pixel_m = WAVELENGTH_M * DISTANCE_M / (OBJECT_PIXEL_M * np.array([h, w]))
    basis = np.array([[0, -detector_pixel_m[1]], [-detector_pixel_m[0], 0], [0, 0]])
    object_basis = np.array([[0, -OBJECT_PIXEL_M], [-OBJECT_PIXEL_M, 0], [0, 0]])
    dataset = Ptycho2DDataset(
        (task.positions @ object_basis.T).astype(np.float32),
        torch.as_tensor(task.diffraction),
        wavelength=WAVELENGTH_M,
        detector_geometry={"distance": DISTANCE_M, "basis": basis, "corner": None},
    )
    model = FancyPtycho.from_dataset(dataset, n_modes=len(task.probe), obj_padding=10)
    model.probe_norm = torch.as_tensor(np.abs(task.probe[0]).max())
    model.probe.data = torch.as_tensor(task.probe) / model.probe_norm
    model.obj.data = torch.as_tensor(task.start_object(tuple(model.obj.shape)))
    model.translation_offsets.requires_grad = False  # nobody here may move the frames,
    model.background.requires_grad = False  # nor add light to them
    first = max(1, round(FIRST_LOOP * task.epochs))
    clock = Clock()
    loops = (
        model.Adam_optimize(first, dataset, lr=0.02, batch_size=10),
        model.Adam_optimize(task.epochs - first, dataset, lr=0.005, batch_size=50),
    )
    mean_squares = []
    for mean_square in chain(*loops):
        mean_squares.append(float(mean_square))
        clock.tick()
    probe = (model.probe.detach() * model.probe_norm).numpy()
    origin = model.min_translation.numpy() - np.array([h // 2, w // 2])
    answer(Answer(model.obj.detach().numpy(), probe, origin, mean_squares[-1] / task.diffraction.mean()), clock)


if __name__ == "__main__":
    main()
