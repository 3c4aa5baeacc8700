"""Everything that is measured about a reconstruction, from its arrays and the scan alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ptycho.data import FrameSet, Scan, find_held_out, select_frames
from ptycho.errors import DataError, ShapeError
from ptycho.metrics.fidelity import FrameScores, fit_frame_factors, fourier_error, score_frames
from ptycho.metrics.frc import RingCorrelation, half_bit, ring_correlation
from ptycho.metrics.gauge import Gauged, fix_gauge
from ptycho.metrics.placing import place_held_out
from ptycho.metrics.registration import Aligned, Placed, align
from ptycho.metrics.star import Star, measure_star
from ptycho.metrics.truth import TruthComparison, compare_to_truth
from ptycho.physics import predict_intensity
from ptycho.reconstruction import ROOM_PX, Reconstruction

__all__ = ["Evaluation", "FrameSetFit", "HalfSets", "Refit", "compare_with_truth", "measure"]


@dataclass(frozen=True, eq=False)
class FrameSetFit:
    """A set of frames beside what the reconstruction predicts for it.

    Attributes
    ----------
    factors
        (n,) float64, the intensity factor fitted to each frame.
    flux
        Σ k / Σ λ over all of them, by which the probe's power is scaled in the gauge.
    scores
        With these factors.
    fourier_error_as_returned
        R with factors of 1.
    example, example_model
        (h, w) float32, the frame whose error over expectation is the median of the set, and its prediction.
    """

    factors: NDArray[np.float64]
    flux: float
    scores: FrameScores
    fourier_error_as_returned: float
    example: NDArray[np.floating]
    example_model: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class HalfSets:
    """Two halves in one frame, their ring correlation and its half-bit curve, and what each predicts by itself."""

    aligned: Aligned
    curve: RingCorrelation
    half_bit: NDArray[np.float64]
    held_out: tuple[FrameSetFit, FrameSetFit]


@dataclass(frozen=True, eq=False)
class Refit:
    """The reconstruction of all frames, also in its gauge; its scores, and its correlation with the one judged."""

    reconstruction: Reconstruction
    gauged: Gauged
    fit: FrameSetFit
    curve: RingCorrelation


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured, with the arrays behind it.

    Attributes
    ----------
    scan, reconstruction
        What was evaluated: the reconstruction of the training frames.
    gauged
        It, in the gauge.
    moved
        (n, 2) float64, how far its frames went from where the scan puts them, pixels; None unless positions were
        refined.
    train, held_out
        The frames it was fitted to, and those it never saw.
    mean_frame
        The held-out frames under the mean of the training frames: what one can predict without an object.
    half_sets, refit, star, truth
        None where undefined.
    star_asked
        True when the object is said to be a star, so that its spokes are a criterion.
    undefined
        For each part that is None, the reason.
    """

    scan: Scan
    reconstruction: Reconstruction
    gauged: Gauged
    moved: NDArray[np.float64] | None
    train: FrameSetFit
    held_out: FrameSetFit
    mean_frame: FrameScores
    half_sets: HalfSets | None
    refit: Refit | None
    star: Star | None
    truth: TruthComparison | None
    star_asked: bool
    undefined: Mapping[str, str]


def measure(
    scan: Scan,
    reconstruction: Reconstruction,
    halves: tuple[Reconstruction, Reconstruction] | None = None,
    refit: Reconstruction | None = None,
    *,
    star: bool = False,
) -> Evaluation:
    """Measure a reconstruction.

    Only its object, probe and origin are believed: positions come from the scan, intensities from our own
    forward model, and which frames are held out follows from the scan alone. Where positions were refined, its own
    are believed for the frames it was fitted to; held-out frames are placed in its object by half of their pixels
    and scored on the other half.

    Parameters
    ----------
    scan
        Photon counts.
    reconstruction
        From the training frames.
    halves
        From the two halves of the training frames, each from its own random start.
    refit
        From all frames.
    star
        True looks for the spokes of a Siemens star in the object.

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
    train = _select(scan, reconstruction, FrameSet.TRAIN)
    unseen = scan.select(find_held_out(scan))
    held_out = _place(scan, unseen, reconstruction)
    train_fit = _fit(train, reconstruction)
    gauged = _gauge(train, reconstruction, train_fit.flux)
    half_sets = None if halves is None else _compare_halves(scan, unseen, *halves)
    refitted = None if refit is None else _compare_refit(scan, gauged, refit)
    truth = compare_with_truth(scan, gauged)
    spokes, no_spokes = _find_star(gauged) if star else (None, "not asked for: nobody said that the object is a star")
    moved = _find_moves(scan, reconstruction)
    reasons = {
        "positions": (moved, "the positions were taken as the scan gives them"),
        "half_sets": (half_sets, "no half-set reconstructions were given"),
        "refit": (refitted, "no reconstruction of all frames was given"),
        "star": (spokes, no_spokes),
        "truth": (truth, "the scan carries no known object"),
    }
    return Evaluation(
        scan=scan,
        reconstruction=reconstruction,
        gauged=gauged,
        moved=moved,
        train=train_fit,
        held_out=_fit(held_out, reconstruction),
        mean_frame=_score_mean_frame(train, held_out),
        half_sets=half_sets,
        refit=refitted,
        star=spokes,
        truth=truth,
        star_asked=star,
        undefined={name: reason for name, (part, reason) in reasons.items() if part is None},
    )


def _select(scan: Scan, reconstruction: Reconstruction, which: FrameSet) -> Scan:
    """Return the frames of a set, where they lie by now, after checking that these and no others were used."""
    expected = select_frames(scan, which)
    if not np.array_equal(np.sort(reconstruction.frames), expected):
        strangers = np.setdiff1d(reconstruction.frames, expected)
        raise DataError(
            f"expected a reconstruction of the {expected.size} frames '{which.value}' of {scan.name}, "
            f"found one of {reconstruction.frames.size} frames, {strangers.size} of them outside the set; "
            f"make it with: reconstruct --frames {which.value}"
        )
    part = scan.select(reconstruction.frames)
    moved = _find_moves(scan, reconstruction)
    return part if moved is None else replace(part, probe_positions=part.probe_positions + moved)


def _find_moves(scan: Scan, reconstruction: Reconstruction) -> NDArray[np.float64] | None:
    """Return how far the frames of a reconstruction went (n, 2), None when it left them where they were.

    Raises
    ------
    DataError
        If one went further than any solver of ours lets it.
    """
    if reconstruction.options.get("refine_positions") is not True:
        return None
    moved = reconstruction.probe_positions - scan.probe_positions[reconstruction.frames]
    if np.abs(moved).max() > ROOM_PX * (1 + 1e-9):
        raise DataError(
            f"probe_positions: expected none further than {ROOM_PX} px from where {scan.name} has them, along each "
            f"axis, found {np.abs(moved).max():.2f} px; is it a reconstruction of this scan?"
        )
    return moved


def _place(scan: Scan, unseen: Scan, reconstruction: Reconstruction) -> Scan:
    """Return frames that a reconstruction never saw, where they lie in its object."""
    moved = _find_moves(scan, reconstruction)
    return unseen if moved is None else place_held_out(unseen, reconstruction, float(np.hypot(*moved.T).max()))


def _gauge(part: Scan, reconstruction: Reconstruction, flux: float = 1.0) -> Gauged:
    """Return the reconstruction of some frames in the gauge, its probe scaled by √flux."""
    probe = np.sqrt(flux) * reconstruction.probe
    return fix_gauge(reconstruction.object, probe, reconstruction.origin, part.probe_positions)


def _compare_halves(scan: Scan, unseen: Scan, first: Reconstruction, second: Reconstruction) -> HalfSets:
    """Return the ring correlation of the halves, and how each predicts the held-out frames."""
    image_a = _gauge(_select(scan, first, FrameSet.HALF_A), first).image
    image_b = _gauge(_select(scan, second, FrameSet.HALF_B), second).image
    aligned = align(image_a, image_b)
    curve = ring_correlation(aligned.reference, aligned.moving, aligned.window)
    fits = _fit(_place(scan, unseen, first), first), _fit(_place(scan, unseen, second), second)
    return HalfSets(aligned, curve, half_bit(curve.n_effective), fits)


def _compare_refit(scan: Scan, judged: Gauged, refit: Reconstruction) -> Refit:
    """Return the reconstruction of all frames beside the one that is judged."""
    everything = _select(scan, refit, FrameSet.ALL)
    fit = _fit(everything, refit)
    gauged = _gauge(everything, refit, fit.flux)
    aligned = align(judged.image, gauged.image)
    return Refit(refit, gauged, fit, ring_correlation(aligned.reference, aligned.moving, aligned.window))


def _find_star(judged: Gauged) -> tuple[Star | None, str]:
    """Return the spokes, or why none can be measured."""
    try:
        return measure_star(judged.image), ""
    except ShapeError as error:
        return None, str(error)


def compare_with_truth(scan: Scan, judged: Gauged) -> TruthComparison | None:
    """Return the comparison with the known object of the scan, if it carries one."""
    if scan.object_truth is None or scan.truth_origin is None:
        return None
    known = np.ones(scan.object_truth.shape, bool)
    return compare_to_truth(judged.image, Placed(scan.object_truth.astype(np.complex128), scan.truth_origin, known))


def _fit(scan: Scan, reconstruction: Reconstruction) -> FrameSetFit:
    """Return the scores of all frames of `scan` under a reconstruction."""
    model = predict_intensity(reconstruction.object, reconstruction.origin, reconstruction.probe, scan.probe_positions)
    factors = fit_frame_factors(scan.diffraction, model, scan.mask)
    scores = score_frames(scan.diffraction, factors[:, None, None] * model, scan.mask)
    predicted = model[:, scan.mask].sum(dtype=np.float64)
    typical = int(np.argsort(scores.error / scores.error_expected)[scores.n_frames // 2])
    return FrameSetFit(
        factors=factors,
        flux=float(scores.counts.sum() / predicted) if predicted > 0 else 1.0,
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
