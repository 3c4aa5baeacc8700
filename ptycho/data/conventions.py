"""Finding a scan's conventions by trial: where the detector's origin lies, and how its positions are turned.

The mean pattern does not tell (on one public set its corner holds 41 counts and its centre 45), so each
hypothesis is given a short reconstruction, and the held-out frames of the trial decide.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ptycho.data.scan import Scan
from ptycho.errors import DataError
from ptycho.physics import predict_intensity

__all__ = ["Axes", "Conventions", "DetectorOrigin", "apply_conventions", "find_conventions"]

TRIAL_FRAMES = 96  # the frames nearest the middle of the scan
TRIAL_EPOCHS = 8
HELD_EVERY = 8  # one trial frame in eight is scored, not fitted
CLEAR_MARGIN = 1.05  # the second best hypothesis must score worse by this factor


class DetectorOrigin(StrEnum):
    """Where the file keeps the detector's origin (DC)."""

    CENTRE = "centre"
    CORNER = "corner"


class Axes(StrEnum):
    """How the file's position axes lie to (y, x); flips are relative, both axes together stay undecidable."""

    YX = "yx"
    XY = "xy"
    FLIPPED_YX = "-yx"
    FLIPPED_XY = "-xy"


@dataclass(frozen=True)
class Conventions:
    """What the trials found.

    Attributes
    ----------
    origin, axes
        The hypothesis with the lowest score.
    scores
        Held-out Fourier error R of every trial, by "origin/axes".
    """

    origin: DetectorOrigin
    axes: Axes
    scores: dict[str, float]

    def describe(self) -> dict[str, object]:
        """Return JSON values for `Scan.provenance`."""
        return {
            "detector_origin": self.origin.value,
            "position_axes": self.axes.value,
            "decided_by": "held-out Fourier error of short trial reconstructions",
            "trial_scores": {name: round(score, 5) for name, score in self.scores.items()},
            "assumed": "direction: negating both position axes, or turning the detector by 180 degrees, "
            "has an exact conjugate solution that no data can exclude",
        }


def apply_conventions(scan: Scan, origin: DetectorOrigin, axes: Axes) -> Scan:
    """Return a scan in this library's conventions from one that still has those of its file.

    A corner origin is moved to (h//2, w//2); positions are transposed and flipped to (y, x).
    """
    diffraction, mask = scan.diffraction, scan.mask
    if origin is DetectorOrigin.CORNER:
        diffraction, mask = scipy.fft.fftshift(diffraction, axes=(1, 2)), scipy.fft.fftshift(mask)
    return replace(
        scan,
        diffraction=diffraction,
        mask=mask,
        probe_positions=_turn(scan.probe_positions, axes),
        positions_truth=None if scan.positions_truth is None else _turn(scan.positions_truth, axes),
    )


def find_conventions(scan: Scan, report: Callable[[str, float], None] | None = None) -> Conventions:
    """Try every origin and turning on the middle of a scan; some seconds.

    Parameters
    ----------
    scan
        With diffraction and positions as the file has them, apart from a constant.
    report
        Called after every trial with its name and score.

    Raises
    ------
    DataError
        If the scan is too small to hold frames out, or no hypothesis is clearly the best.
    """
    middle = np.median(scan.probe_positions, axis=0)
    nearest = np.argsort(np.hypot(*(scan.probe_positions - middle).T), kind="stable")[:TRIAL_FRAMES]
    if nearest.size < 2 * HELD_EVERY:
        raise DataError(f"{scan.name}: expected at least {2 * HELD_EVERY} frames for trials, found {nearest.size}")
    part = scan.select(nearest)
    scores: dict[str, float] = {}
    hypotheses = list(itertools.product(DetectorOrigin, Axes))
    for origin, axes in hypotheses:
        name = f"{origin}/{axes}"
        scores[name] = _score(apply_conventions(part, origin, axes))
        if report is not None:
            report(name, scores[name])
    best, second = sorted(scores.values())[:2]
    if second < CLEAR_MARGIN * best:
        table = ", ".join(f"{name} {score:.4f}" for name, score in scores.items())
        raise DataError(
            f"{scan.name}: expected one clearly best convention, found {table}; more overlap or a better "
            "probe guess is needed"
        )
    origin, axes = min(hypotheses, key=lambda pair: scores[f"{pair[0]}/{pair[1]}"])
    return Conventions(origin, axes, scores)


def _score(scan: Scan) -> float:
    """Return the Fourier error R on the held-out frames of a short reconstruction."""
    # Imported here, so that a process which only reads or scores a scan runs no solver code.
    from ptycho.solvers import RPIEOptions, reconstruct  # noqa: PLC0415

    held = np.arange(HELD_EVERY // 2, scan.n_frames, HELD_EVERY)
    result = reconstruct(scan, np.setdiff1d(np.arange(scan.n_frames), held), RPIEOptions(epochs=TRIAL_EPOCHS, modes=1))
    expected = predict_intensity(result.object, result.origin, result.probe, scan.probe_positions[held])
    measured = scan.diffraction[held]
    misfit = (np.sqrt(measured) - np.sqrt(expected)) ** 2
    return float(misfit[:, scan.mask].sum() / measured[:, scan.mask].sum())


def _turn(positions: NDArray[np.float64], axes: Axes) -> NDArray[np.float64]:
    """Return positions as (y, x)."""
    flip = -1.0 if axes in (Axes.FLIPPED_YX, Axes.FLIPPED_XY) else 1.0
    order = [1, 0] if axes in (Axes.XY, Axes.FLIPPED_XY) else [0, 1]
    return np.ascontiguousarray(positions[:, order] * (flip, 1.0))
