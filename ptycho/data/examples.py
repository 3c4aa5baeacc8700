"""What a network learns from: groups of a scan, their amplitudes normalised, read a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.data.groups import Groups
from ptycho.data.normalisation import Normalisation
from ptycho.data.rows import Rows
from ptycho.data.samples import amplitude_rows, truth_rows
from ptycho.data.scan import Scan
from ptycho.errors import DataError, ShapeError
from ptycho.physics.propagation import ComplexArray, sum_modes

__all__ = ["Batch", "Examples", "find_references", "gauge_targets", "make_examples"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Some examples, as numpy.

    Attributes
    ----------
    amplitudes
        (b, h, w, C) float32, normalised, 0 on invalid pixels.
    offsets
        (b, C, 2) float64, (y, x) of each frame from its group's reference point.
    targets
        (b, h, w, C) complex64, patches of the known object, or None.
    """

    amplitudes: NDArray[np.floating]
    offsets: NDArray[np.float64]
    targets: NDArray[np.complexfloating] | None = None


@dataclass(frozen=True, eq=False)
class Examples:
    """B groups of C frames, computed when they are read.

    The reference point of a group is the whole pixel nearest to its centre, so that the objects of all groups lie on
    one grid and stitching never interpolates.

    Attributes
    ----------
    amplitudes
        (B, h, w, C) float32, in memory or computed on demand.
    positions
        (B, C, 2) float64, (y, x) of each frame.
    targets
        (B, h, w, C) complex64, or None where the object is not known.
    """

    amplitudes: Rows | NDArray[np.floating]
    positions: NDArray[np.float64]
    targets: Rows | NDArray[np.complexfloating] | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.amplitudes.shape)
        if len(shape) != 4 or self.positions.shape != (shape[0], shape[3], 2) or shape[0] == 0:
            raise ShapeError(
                f"examples: expected amplitudes (B, h, w, C) and positions (B, C, 2), B > 0, found {shape} and "
                f"{self.positions.shape}"
            )
        if self.targets is not None and tuple(self.targets.shape) != shape:
            raise ShapeError(f"targets: expected {shape} as the amplitudes, found {tuple(self.targets.shape)}")

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def references(self) -> NDArray[np.float64]:
        """(B, 2) float64 without fraction: canvas coordinates (y, x) of the middle of each group's object."""
        return find_references(self.positions)[:, 0]

    @property
    def offsets(self) -> NDArray[np.float64]:
        """(B, C, 2): position − reference point."""
        return self.positions - find_references(self.positions)

    def select(self, key: Any) -> Examples:  # noqa: ANN401 -- a slice, integers or a mask
        """Return some of the examples; nothing is computed."""
        return Examples(
            _select(self.amplitudes, key),
            self.positions[key],
            None if self.targets is None else _select(self.targets, key),
        )

    def read(self, indices: NDArray[np.int64]) -> Batch:
        """Compute some examples."""
        positions = self.positions[indices]
        targets = None if self.targets is None else self.targets[indices]
        return Batch(self.amplitudes[indices], positions - find_references(positions), targets)

    def in_memory(self) -> Examples:
        """Return the same examples, all computed."""
        targets = None if self.targets is None else np.asarray(self.targets)
        return replace(self, amplitudes=np.asarray(self.amplitudes), targets=targets)


def make_examples(scan: Scan, groups: Groups, normalisation: Normalisation, *, labels: bool = False) -> Examples:
    """Return the examples of a scan's groups.

    Parameters
    ----------
    scan
        Whose frames the members of the groups index.
    groups
        See `ptycho.data.groups.group_frames`.
    normalisation
        Fitted on the training split.
    labels
        Whether to give the patches of the known object too, scaled to a mean |O|² of 1 and a mean phase of 0 where
        the scan's probe falls, which is the gauge of `ptycho.nets.network.Illumination`.

    Raises
    ------
    DataError
        If labels are asked for and the object is not known.
    ShapeError
        If frames, groups and normalisation do not fit.
    """
    amplitudes = amplitude_rows(scan.diffraction, scan.mask, groups, normalisation)
    positions = groups.positions[groups.members]
    if not labels:
        return Examples(amplitudes, positions)
    if scan.object_truth is None or scan.truth_origin is None:
        raise DataError(f"{scan.name}: expected a known object to learn from, found none; use a simulated scan")
    references = find_references(positions)
    whole = references + np.floor(positions - references + 0.5)
    onto_pixels = Groups(np.arange(groups.members.size).reshape(groups.members.shape), whole.reshape(-1, 2))
    raw = truth_rows(scan.object_truth, scan.truth_origin, onto_pixels, scan.frame_shape)
    return Examples(amplitudes, positions, gauge_targets(raw, scan.probe))


def gauge_targets(raw: Rows, probe: ComplexArray) -> Rows:
    """Return patches of a known object, rows (B, h, w, C), turned and scaled by one factor.

    Mean |O|² is 1 and the mean phase 0 where the probe (m, h, w) falls: the gauge of
    `ptycho.nets.network.Illumination`. The factor is that of some 64 evenly spaced examples.
    """
    weight = sum_modes(probe)[..., None]
    some = raw[:: max(1, len(raw) // 64)]
    factor = np.exp(-1j * np.angle((weight * some).sum())) * np.sqrt(
        (weight.sum() * some.shape[0] * some.shape[3]) / (weight * np.abs(some) ** 2).sum()
    )
    return replace(raw, compute=lambda index: (factor * raw.compute(index)).astype(np.complex64))


def find_references(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the whole pixels (B, 1, 2) nearest to the centres of groups at positions (B, C, 2)."""
    references: NDArray[np.float64] = np.floor(positions.mean(axis=1, keepdims=True) + 0.5)
    return references


def _select(array: Any, key: Any) -> Any:  # noqa: ANN401 -- rows or an array, and what indexes them
    """Return some rows, computing nothing."""
    return array.select(key) if isinstance(array, Rows) else array[key]
