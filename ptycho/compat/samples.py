"""What the library learns from and predicts, out of a published container: conventions change here, once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.compat import params
from ptycho.compat.loader import PtychoDataContainer
from ptycho.data.examples import Examples, find_references, gauge_targets
from ptycho.data.groups import default_neighbours, group_frames
from ptycho.data.normalisation import Normalisation
from ptycho.data.rows import Rows
from ptycho.errors import DataError
from ptycho.nets.specification import OVERLAP, NetworkKind
from ptycho.physics.groups import read_offsets
from ptycho.physics.interpolation import sample_windows
from ptycho.physics.propagation import ComplexArray

__all__ = ["find_gridsize", "find_probe", "make_group_examples", "make_training_examples"]

CURE = "make the container with ptycho.loader.load"

Source = NDArray[Any] | Rows


def find_gridsize(container: PtychoDataContainer) -> int:
    """Return the gridsize of a container's groups.

    Raises
    ------
    DataError
        If the groups have no square number of frames.
    """
    c = container._X_np.shape[3]
    if math.isqrt(c) ** 2 != c:
        raise DataError(f"X: expected gridsize² frames in a group, found {container._X_np.shape}")
    return math.isqrt(c)


def find_probe(container: PtychoDataContainer) -> ComplexArray:
    """Return the probe (m, h, w) of a container, else that of `ptycho.probe.set_probe_guess`.

    Raises
    ------
    DataError
        If there is none.
    """
    found = params.cfg["probe"] if container.probe is None else container.probe
    if found is None:
        raise DataError("probe: expected one in the container, found none; call ptycho.probe.set_probe_guess first")
    if hasattr(found, "detach"):
        found = found.detach().cpu()
    probe = np.asarray(found)
    return probe.reshape(-1, *probe.shape[-2:]).astype(np.complex128)


def make_group_examples(container: PtychoDataContainer, normalisation: Normalisation) -> Examples:
    """Return the groups of a container, where they lie.

    Raises
    ------
    DataError
        If their positions are not known.
    """
    positions, known = _read_positions(container)
    if not known:
        raise DataError(f"global_offsets: expected the centres of the groups, (B, 1, 2, 1), found none; {CURE}")
    return Examples(_read_amplitudes(container, normalisation), positions)


def make_training_examples(
    container: PtychoDataContainer, normalisation: Normalisation, kind: str, seed: int = 0
) -> Examples:
    """Return what a network of a kind learns from.

    A single frame does not determine its object. Where a sample is one frame and nothing else is known, the frame
    learns together with its neighbours, which share an object with it.

    Parameters
    ----------
    container
        Groups, normalised or not.
    normalisation
        That the network works in; what is normalised already is rescaled to it, and never normalised twice.
    kind
        "pinn" or "supervised".
    seed
        Of the neighbours.

    Raises
    ------
    DataError
        If labels or positions are missing that the kind needs.
    """
    amplitudes = _read_amplitudes(container, normalisation)
    positions, known = _read_positions(container)
    if kind == NetworkKind.SUPERVISED:
        return Examples(amplitudes, positions, _read_labels(container, positions))
    if positions.shape[1] > 1:
        return Examples(amplitudes, positions)
    if not known:
        raise DataError(
            "global_offsets: expected the centres (B, 1, 2, 1) of the samples, since single frames learn together "
            f"with their neighbours, found none; {CURE}"
        )
    return _join_neighbours(amplitudes, positions[:, 0], _find_distinct(container), seed)


def _read_amplitudes(container: PtychoDataContainer, normalisation: Normalisation) -> Source:
    """Return normalised amplitudes (B, h, w, C) in memory, or computed when somebody looks at them."""
    source: Source = container._X_np
    done = 1.0 if container.normalisation is None else container.normalisation.scale
    factor = normalisation.scale / done
    if factor == 1.0:
        return source

    def compute(index: NDArray[np.int64]) -> NDArray[np.float32]:
        return (factor * np.asarray(source[index], np.float64)).astype(np.float32)

    return Rows(np.arange(len(container)), compute, source.shape[1:], np.dtype(np.float32))


def _read_positions(container: PtychoDataContainer) -> tuple[NDArray[np.float64], bool]:
    """Return positions (B, C, 2) as (y, x), and whether they count from one point for all groups."""
    b, _, _, c = container._X_np.shape
    relative = container._local_offsets_np
    relative = container._coords_true_np if relative is None else relative
    if relative is None and c > 1:
        raise DataError(f"local_offsets: expected ({b}, 1, 2, {c}) for groups of {c} frames, found none; {CURE}")
    offsets = np.zeros((b, 1, 2)) if relative is None else read_offsets(np.asarray(relative))
    centres = container._global_offsets_np
    if centres is None:
        return offsets.astype(np.float64), False
    # Relative coordinates are published as minus the offset, centres as they are: the sign is undone.
    return offsets.astype(np.float64) - read_offsets(np.asarray(centres)), True


def _read_labels(container: PtychoDataContainer, positions: NDArray[np.float64]) -> Rows:
    """Return the container's object patches, moved onto the whole pixels that objects of groups are made of."""
    amplitude, phase = container._Y_I_np, container._Y_phi_np
    if amplitude is None or phase is None:
        raise DataError("Y_I, Y_phi: expected labels for a supervised network, found none; give RawData an objectGuess")
    references = find_references(positions)
    moves = references + np.floor(positions - references + 0.5) - positions  # within half a pixel

    def compute(index: NDArray[np.int64]) -> NDArray[np.complex64]:
        patches = np.asarray(amplitude[index]) * np.exp(1j * np.asarray(phase[index]))
        b, h, w, c = patches.shape
        windows = np.moveaxis(patches, -1, 1).reshape(b * c, h, w)
        margin = np.pad(windows, ((0, 0), (1, 1), (1, 1)), mode="edge")
        moved = sample_windows(margin, np.arange(b * c), 1 + moves[index].reshape(-1, 2), (h, w))
        return np.moveaxis(moved.reshape(b, c, h, w), 1, -1).astype(np.complex64)

    raw = Rows(np.arange(len(container)), compute, container._X_np.shape[1:], np.dtype(np.complex64))
    return gauge_targets(raw, find_probe(container))


def _find_distinct(container: PtychoDataContainer) -> NDArray[np.int64]:
    """Return the samples that each show another frame: all of them, where frames are not numbered."""
    numbers = container._nn_indices_np
    if numbers is None:
        return np.arange(len(container))
    return np.sort(np.unique(np.asarray(numbers)[:, 0], return_index=True)[1]).astype(np.int64)


def _join_neighbours(
    frames: Source, positions: NDArray[np.float64], distinct: NDArray[np.int64], seed: int
) -> Examples:
    """Return groups of neighbours out of single frames (B, h, w, 1) at positions (B, 2)."""
    size = min(OVERLAP, len(distinct))
    groups = group_frames(positions[distinct], size, neighbours=default_neighbours(size), seed=seed)
    members = distinct[groups.members]

    def compute(index: NDArray[np.int64]) -> NDArray[np.floating]:
        chosen = np.asarray(frames[members[index].ravel()])
        return np.moveaxis(chosen.reshape(len(index), size, *chosen.shape[1:3]), 1, -1)

    tail = (*frames.shape[1:3], size)
    return Examples(Rows(np.arange(len(members)), compute, tail, frames.dtype), positions[members])
