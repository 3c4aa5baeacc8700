"""Everything that is measured about a reconstruction, from its arrays and the scan alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptycho.data import FrameSet, Scan, find_held_out, select_frames
from ptycho.errors import DataError, ShapeError
from ptycho.metrics.fidelity import FrameScores, fit_frame_factors, fourier_error, score_frames
from ptycho.metrics.frc import RingCorrelation, half_bit, ring_correlation
from ptycho.metrics.gauge import Gauged, fix_gauge
from ptycho.metrics.registration import Aligned, Placed, align
from ptycho.metrics.star import Star, measure_star
from ptycho.metrics.truth import TruthComparison, compare_to_truth
from ptycho.physics import predict_intensity
from ptycho.solvers.reconstruction import Reconstruction

__all__ = ["Evaluation", "FrameSetFit", "HalfSets", "measure"]


@dataclass(frozen=True, eq=False)
class FrameSetFit:
    """A set of frames beside what the reconstruction predicts for it.

    Attributes
    ----------
    factors
        (n,) float64, the intensity factor fitted to each frame.
    scores
        With these factors.
    fourier_error_as_returned
        R with factors of 1.
    example, example_model
        (h, w) float32, the frame whose error over expectation is the median of the set, and its prediction.
    """

    factors: NDArray[np.float64]
    scores: FrameScores
    fourier_error_as_returned: float
    example: NDArray[np.floating]
    example_model: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class HalfSets:
    """Two halves in one frame, their ring correlation and the half-bit curve that belongs to it."""

    aligned: Aligned
    curve: RingCorrelation
    half_bit: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured, with the arrays behind it.

    Attributes
    ----------
    scan, reconstruction
        What was evaluated: the reconstruction of the training frames.
    gauged
        It, in the gauge.
    train, held_out
        The frames it was fitted to, and those it never saw.
    mean_frame
        The held-out frames under the mean of the training frames: what one can predict without an object.
    half_sets, star, truth
        None where undefined.
    undefined
        For each of these that is None, the reason.
    """

    scan: Scan
    reconstruction: Reconstruction
    gauged: Gauged
    train: FrameSetFit
    held_out: FrameSetFit
    mean_frame: FrameScores
    half_sets: HalfSets | None
    star: Star | None
    truth: TruthComparison | None
    undefined: Mapping[str, str]


def measure(
    scan: Scan,
    reconstruction: Reconstruction,
    halves: tuple[Reconstruction, Reconstruction] | None = None,
) -> Evaluation:
    """Measure a reconstruction.

    Only its object, probe and origin are believed: positions come from the scan, intensities from our own
    forward model, and which frames are held out follows from the scan alone.

    Parameters
    ----------
    scan
        Photon counts.
    reconstruction
        From the training frames.
    halves
        From the two halves of the training frames, each from its own random start.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        If the scan holds no counts, or a reconstruction used frames that it should not have seen.
    ShapeError
        If arrays do not fit each other.
    """
    if scan.photons_per_frame is None:
        raise DataError(
            f"{scan.name}: expected photon counts, found {scan.kind.value}; scores are stated relative to "
            "what counting photons allows, so give the data as counts"
        )
    train_frames = _check_frames(scan, reconstruction, FrameSet.TRAIN)
    gauged = _gauge(scan, reconstruction)
    undefined: dict[str, str] = {}
    half_sets = star = truth = None
    if halves is None:
        undefined["half_sets"] = "no half-set reconstructions were given"
    else:
        half_sets = _compare_halves(scan, *halves)
    try:
        star = measure_star(gauged.image)
    except ShapeError as error:
        undefined["star"] = str(error)
    if scan.object_truth is None or scan.truth_origin is None:
        undefined["truth"] = "the scan carries no known object"
    else:
        known = np.ones(scan.object_truth.shape, bool)
        truth = compare_to_truth(
            gauged.image, Placed(scan.object_truth.astype(np.complex128), scan.truth_origin, known)
        )
    train, held_out = scan.select(train_frames), scan.select(find_held_out(scan))
    return Evaluation(
        scan=scan,
        reconstruction=reconstruction,
        gauged=gauged,
        train=_fit(train, reconstruction),
        held_out=_fit(held_out, reconstruction),
        mean_frame=_score_mean_frame(train, held_out),
        half_sets=half_sets,
        star=star,
        truth=truth,
        undefined=undefined,
    )


def _check_frames(scan: Scan, reconstruction: Reconstruction, which: FrameSet) -> NDArray[np.int64]:
    """Return the frames of a set after checking that the reconstruction used these and no others."""
    expected = select_frames(scan, which)
    if not np.array_equal(np.sort(reconstruction.frames), expected):
        strangers = np.setdiff1d(reconstruction.frames, expected)
        raise DataError(
            f"expected a reconstruction of the {expected.size} frames '{which.value}' of {scan.name}, "
            f"found one of {reconstruction.frames.size} frames, {strangers.size} of them outside the set; "
            f"make it with: reconstruct --frames {which.value}"
        )
    return expected


def _gauge(scan: Scan, reconstruction: Reconstruction) -> Gauged:
    """Return a reconstruction in the gauge."""
    positions = scan.probe_positions[reconstruction.frames]
    return fix_gauge(reconstruction.object, reconstruction.probe, reconstruction.origin, positions)


def _compare_halves(scan: Scan, first: Reconstruction, second: Reconstruction) -> HalfSets:
    """Return the ring correlation of the halves."""
    _check_frames(scan, first, FrameSet.HALF_A)
    _check_frames(scan, second, FrameSet.HALF_B)
    aligned = align(_gauge(scan, first).image, _gauge(scan, second).image)
    curve = ring_correlation(aligned.reference, aligned.moving, aligned.window)
    return HalfSets(aligned, curve, half_bit(curve.n_effective))


def _fit(scan: Scan, reconstruction: Reconstruction) -> FrameSetFit:
    """Return the scores of all frames of `scan` under a reconstruction."""
    model = predict_intensity(reconstruction.object, reconstruction.origin, reconstruction.probe, scan.probe_positions)
    factors = fit_frame_factors(scan.diffraction, model, scan.mask)
    scores = score_frames(scan.diffraction, factors[:, None, None] * model, scan.mask)
    typical = int(np.argsort(scores.error / scores.error_expected)[scores.n_frames // 2])
    return FrameSetFit(
        factors=factors,
        scores=scores,
        fourier_error_as_returned=fourier_error(scan.diffraction, model, scan.mask),
        example=scan.diffraction[typical],
        example_model=factors[typical] * model[typical],
    )


def _score_mean_frame(train: Scan, held_out: Scan) -> FrameScores:
    """Return the scores of the held-out frames under the mean training frame, one factor a frame fitted."""
    mean = np.broadcast_to(train.diffraction.mean(axis=0, dtype=np.float64), held_out.diffraction.shape)
    factors = fit_frame_factors(held_out.diffraction, mean, held_out.mask)
    return score_frames(held_out.diffraction, factors[:, None, None] * mean, held_out.mask)
