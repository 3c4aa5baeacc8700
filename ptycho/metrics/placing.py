"""Where frames lie in an object that never saw them: found from one half of their pixels, to be scored on the other.

Where positions were refined, those of held-out frames are as wrong as the others were, and nothing has refined
them. To find them from the pixels that are scored would be to fit what is judged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ptycho.data.scan import Scan
from ptycho.physics import predict_intensity
from ptycho.reconstruction import Reconstruction

__all__ = ["place_held_out"]

PIXELS_SEED = 20_260_102
GRID_PX = 2.0  # of the first search; the next ones halve their step down to FINEST_PX
FINEST_PX = 1 / 16
AROUND = np.array([(y, x) for y in (0, -1, 1) for x in (0, -1, 1)], np.float64)  # where one is comes first: it wins

FloatArray = NDArray[np.float64]


def place_held_out(scan: Scan, reconstruction: Reconstruction, reach: float) -> Scan:
    """Return held-out frames at the positions where they fit a reconstruction, and only the pixels not used for it.

    Parameters
    ----------
    scan
        The held-out frames at the positions they were given.
    reconstruction
        Of other frames.
    reach
        Distance in pixels, the largest from the given position: how far the frames went that were reconstructed.

    Returns
    -------
    Scan
        Its mask holds the other half of the valid pixels, drawn with a fixed seed.
    """
    fitted = np.random.default_rng(PIXELS_SEED).random(scan.mask.shape) < 0.5
    positions = np.array(
        [
            _place(frame, position, scan.mask & fitted, reconstruction, reach)
            for frame, position in zip(scan.diffraction, scan.probe_positions, strict=True)
        ]
    )
    return replace(scan, probe_positions=positions, mask=scan.mask & ~fitted)


def _place(
    frame: NDArray[np.float32],
    given: FloatArray,
    pixels: NDArray[np.bool_],
    reconstruction: Reconstruction,
    reach: float,
) -> FloatArray:
    """Return the position at which one frame is predicted best: a search on a grid, then on ever finer ones."""
    amplitude = np.sqrt(frame[pixels], dtype=np.float64)
    lowest, highest = _bounds(reconstruction)
    steps = np.arange(-np.floor(reach / GRID_PX), np.floor(reach / GRID_PX) + 1) * GRID_PX
    offsets, step = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2), GRID_PX
    offsets = offsets[np.argsort(np.hypot(*offsets.T), kind="stable")]
    best: FloatArray = np.clip(given, lowest, highest)
    while step >= FINEST_PX:
        places = np.clip(best + offsets, lowest, highest)
        near = np.hypot(*(places - given).T) <= reach
        near[0] = True  # where one is
        places = places[near]
        found = predict_intensity(reconstruction.object, reconstruction.origin, reconstruction.probe, places)
        model = np.sqrt(found[:, pixels], dtype=np.float64)
        light = np.maximum(np.square(model).sum(axis=1), np.finfo(np.float64).tiny)
        # with the best factor s on √λ, Σ(√k − s√λ)² = Σk − (Σ√k√λ)²/Σλ
        best = places[np.argmax(np.square(model @ amplitude) / light)]
        step /= 2
        offsets = step * AROUND
    return best


def _bounds(reconstruction: Reconstruction) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and the highest position whose patch lies on the object."""
    size, frame = np.array(reconstruction.object.shape), np.array(reconstruction.probe.shape[1:])
    lowest = reconstruction.origin + frame // 2
    return lowest, lowest + size - frame
