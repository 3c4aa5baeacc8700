"""pty-chi: LSQML with its defaults but for smaller batches; the first mode shifts between pixels."""

from __future__ import annotations

import sys
import types

import numpy as np
import torch
from exchange import Answer, Clock, answer, read_task

try:
    import torchvision  # noqa: F401 -- pty-chi imports one class of it, which this run does not call
except (ImportError, RuntimeError):  # its compiled part does not load beside every CPU build of torch
    sys.modules["torchvision"] = types.ModuleType("torchvision")
    sys.modules["torchvision.transforms"] = types.ModuleType("torchvision.transforms")
    sys.modules["torchvision.transforms"].GaussianBlur = None  # type: ignore[attr-defined]

from ptychi import api
from ptychi.api.task import PtychographyTask

BATCH_FRAMES = 25  # 100 is the default; of 12, 25 and 50 this leaves the least held-out error after 20 epochs


def main() -> None:
    """Solve the task of the command line."""
    task = read_task()
    h, w = task.diffraction.shape[1:]
    fft_scale = np.float32(np.sqrt(h * w))  # its FFT carries no 1/√(hw), so its probe does
    options = api.LSQMLOptions()
    # pty-chi puts a position on the middle of a patch, (h − 1)/2, where ours is sample h//2
    middle = np.array([(h - 1) / 2 - h // 2, (w - 1) / 2 - w // 2])
    options.object_options.determine_position_origin_coords_by = api.ObjectPosOriginCoordsMethods.SPECIFIED
    options.object_options.position_origin_coords = (middle - task.canvas_origin).tolist()
    options.reconstructor_options.num_epochs = task.epochs
    options.reconstructor_options.batch_size = BATCH_FRAMES
    options.reconstructor_options.default_device = api.Devices.CPU
    options.reconstructor_options.random_seed = task.seed
    solver = PtychographyTask(
        options,
        diffraction_data=task.diffraction,
        object_data=task.start_object(tuple(task.canvas_shape))[None],
        probe_data=task.probe[None] / fft_scale,
        probe_position_y_px=task.positions[:, 0].astype(np.float32),
        probe_position_x_px=task.positions[:, 1].astype(np.float32),
    )
    clock = Clock()
    for _ in range(task.epochs):
        solver.run(1)
        clock.tick()
    with torch.no_grad():
        found = solver.get_data_to_cpu("object", as_numpy=True)[0]
        probe = solver.get_data_to_cpu("probe", as_numpy=True)[0] * fft_scale
    mean_square = solver.reconstructor.loss_tracker.table["loss"].iloc[-1]
    answer(Answer(found, probe, task.canvas_origin, mean_square / task.diffraction.mean()), clock)


if __name__ == "__main__":
    main()
