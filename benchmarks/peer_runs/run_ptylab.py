"""PtyLab: ePIE or mPIE with their defaults, on positions that the library rounds to whole pixels."""

from __future__ import annotations

import tempfile
from pathlib import Path

import h5py
import numpy as np
import PtyLab
from exchange import Answer, Clock, Task, answer, read_task

WAVELENGTH_M = 1e-9
DISTANCE_M = 1.0
OBJECT_PIXEL_M = 1e-6  # any geometry with this pixel will do: Fraunhofer propagation needs no other number


def main() -> None:
    """Solve the task of the command line."""
    task = read_task()
    np.random.seed(task.seed)  # noqa: NPY002 -- the library draws from the global generator
    middle = np.rint((task.positions.min(axis=0) + task.positions.max(axis=0)) / 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.hdf5"
        _write_scan(path, task, middle)
        method = getattr(PtyLab.Engines, task.method)
        _, reconstruction, params, _, engine = PtyLab.easyInitialize(path, method, dummyMonitor=True)
    reconstruction.npsm = len(task.probe)
    reconstruction.initializeObjectProbe()
    reconstruction.probe[0, 0, :, 0] = task.probe
    reconstruction.object[:] = task.start_object(reconstruction.object.shape)
    engine.initializeReconstructionParams()  # its momentum takes the shapes that were just set
    engine.numIterations = task.epochs
    params.orthogonalizationSwitch = len(task.probe) > 1
    clock = Clock()
    engine.showReconstruction = clock.tick  # what every engine calls at the end of an epoch
    engine.reconstruct()
    origin = middle - reconstruction.No // 2
    answer(Answer(np.squeeze(reconstruction.object), reconstruction.probe[0, 0, :, 0], origin), clock)


def _write_scan(path: Path, task: Task, middle: np.ndarray) -> None:
    """Write the task in PtyLab's own file format."""
    detector_pixel_m = WAVELENGTH_M * DISTANCE_M / (OBJECT_PIXEL_M * task.diffraction.shape[-1])
    with h5py.File(path, "w") as file:
        file["ptychogram"] = task.diffraction
        file["encoder"] = (task.positions - middle) * OBJECT_PIXEL_M
        file["wavelength"], file["dxd"], file["zo"] = WAVELENGTH_M, detector_pixel_m, DISTANCE_M


if __name__ == "__main__":
    main()
