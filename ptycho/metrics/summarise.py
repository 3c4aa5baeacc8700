"""From an evaluation to the record that metrics.json holds, verdicts included."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from ptycho.metrics.criteria import CRITERIA, judge
from ptycho.metrics.fidelity import FrameScores, bootstrap_error
from ptycho.metrics.frc import Crossing, find_crossing
from ptycho.metrics.gauge import Gauged
from ptycho.metrics.images import ImageScores
from ptycho.metrics.measure import Evaluation, FrameSetFit
from ptycho.metrics.registration import FloatArray
from ptycho.metrics.schema import (
    Fidelity,
    FrameSetScores,
    GaugeFacts,
    HalfSetScores,
    ImageFacts,
    Metrics,
    PositionFacts,
    RefitScores,
    ScanFacts,
    StarScores,
    ThresholdCrossing,
    TruthScores,
)
from ptycho.metrics.spoil import Spoil
from ptycho.metrics.truth import TruthComparison

__all__ = ["describe_pair", "summarise"]

BOOTSTRAP_SEED = 17


def summarise(evaluation: Evaluation, spoil: Spoil = Spoil.NONE) -> Metrics:
    """Return the numbers of an evaluation and the verdict of every criterion.

    Parameters
    ----------
    evaluation
        What was measured.
    spoil
        What was done to the result on purpose, for the record.
    """
    scan = evaluation.scan
    undefined = dict(evaluation.undefined)
    if scan.pixel_size_m is None:
        undefined["scan.pixel_size_m"] = "the data set does not give it"
    fidelity = _summarise_fidelity(evaluation)
    half_sets = _summarise_half_sets(evaluation, undefined)
    star = _summarise_star(evaluation, undefined)
    values = {
        "held_out": fidelity.held_out.error_over_expected,
        "deviance": fidelity.held_out.deviance_over_expected,
        "gain": fidelity.gain_over_mean_frame,
        "half_sets": half_sets.half_bit.frequency if half_sets else None,
        "half_sets_held_out": half_sets.worst_deviance_over_expected if half_sets else None,
        "spokes": star.contrast if star else None,
    }
    verdicts = judge(values, inapplicable=() if evaluation.star_asked else ("spokes",))
    for criterion in CRITERIA:
        reason = undefined.get(criterion.metric.partition(".")[0], "")
        if verdicts[criterion.name].value is None:
            undefined[f"criteria.{criterion.name}.value"] = reason
        if verdicts[criterion.name].passed is None:
            undefined[f"criteria.{criterion.name}.passed"] = reason
    return Metrics(
        scan=ScanFacts(
            name=scan.name,
            sabotage=str(scan.provenance.get("sabotage", "none")),
            n_frames=scan.n_frames,
            frame_height=scan.frame_shape[0],
            frame_width=scan.frame_shape[1],
            photons_per_frame=scan.photons_per_frame,
            pixel_size_m=scan.pixel_size_m,
        ),
        fidelity=fidelity,
        positions=_summarise_positions(evaluation),
        gauge=_summarise_gauge(evaluation.gauged),
        half_sets=half_sets,
        refit=_summarise_refit(evaluation),
        star=star,
        truth=_summarise_truth(evaluation, undefined),
        criteria=verdicts,
        passed=all(verdict.passed is not False for verdict in verdicts.values()),
        spoilt=spoil.value,
        undefined=undefined,
    )


def _summarise_fidelity(evaluation: Evaluation) -> Fidelity:
    """Return the scores of both sets, and how they compare."""
    train, held_out = evaluation.train, evaluation.held_out

    def ratio(held_out: FrameScores, train: FrameScores) -> float:
        return held_out.error_over_expected / train.error_over_expected

    return Fidelity(
        train=_summarise_frames(train),
        held_out=_summarise_frames(held_out),
        held_out_over_train=ratio(held_out.scores, train.scores),
        held_out_over_train_error=bootstrap_error(ratio, held_out.scores, train.scores, seed=BOOTSTRAP_SEED),
        gain_over_mean_frame=float(evaluation.mean_frame.deviance.sum() / held_out.scores.deviance.sum()),
    )


def _summarise_frames(fit: FrameSetFit) -> FrameSetScores:
    """Return the scores of one set."""
    scores = fit.scores
    return FrameSetScores(
        n_frames=scores.n_frames,
        fourier_error=scores.fourier_error,
        fourier_error_expected=scores.fourier_error_expected,
        error_over_expected=scores.error_over_expected,
        error_over_expected_error=bootstrap_error(lambda drawn: drawn.error_over_expected, scores, seed=BOOTSTRAP_SEED),
        deviance_over_expected=scores.deviance_over_expected,
        nll_per_pixel=scores.nll_per_pixel,
        frame_factor_scatter=float(fit.factors.std()),
        fourier_error_as_returned=fit.fourier_error_as_returned,
    )


def _summarise_positions(evaluation: Evaluation) -> PositionFacts | None:
    """Return how far frames went, and what they have in common."""
    moved, found = evaluation.moved, evaluation.reconstruction.probe_positions
    if moved is None:
        return None
    distance = np.hypot(*moved.T)
    given = found - moved
    given -= given.mean(axis=0)
    spread = np.square(given).sum(axis=0)
    stretch = (moved * given).sum(axis=0) / np.where(spread > 0, spread, 1.0)
    return PositionFacts(float(np.sqrt(np.square(distance).mean())), float(distance.max()), *stretch.tolist())


def _summarise_gauge(gauged: Gauged) -> GaugeFacts:
    """Return what the gauge fixed."""
    power = np.square(np.abs(gauged.probe)).sum(axis=(1, 2))
    return GaugeFacts(
        probe_power=gauged.probe_power,
        mean_transmission=gauged.mean_transmission,
        mode_shares=tuple(float(share) for share in power / power.sum()),
        covered_pixels=int(gauged.image.region.sum()),
    )


def _summarise_half_sets(evaluation: Evaluation, undefined: dict[str, str]) -> HalfSetScores | None:
    """Return the resolution by the half sets; what is undefined in it gets its reason."""
    halves = evaluation.half_sets
    if halves is None:
        return None
    size = evaluation.scan.pixel_size_m
    half_bit = find_crossing(halves.curve, halves.half_bit)
    one_seventh = find_crossing(halves.curve, 1 / 7)
    return HalfSetScores(
        half_bit=_describe_crossing(half_bit, size, "half_sets.half_bit", undefined),
        one_seventh=_describe_crossing(one_seventh, size, "half_sets.one_seventh", undefined),
        mean_correlation=halves.curve.mean,
        shift_px=_pair(halves.aligned.shift),
        held_out_a=_summarise_frames(halves.held_out[0]),
        held_out_b=_summarise_frames(halves.held_out[1]),
        worst_deviance_over_expected=max(fit.scores.deviance_over_expected for fit in halves.held_out),
    )


def _summarise_refit(evaluation: Evaluation) -> RefitScores | None:
    """Return the scores of the reconstruction of all frames."""
    refit = evaluation.refit
    return None if refit is None else RefitScores(_summarise_frames(refit.fit), refit.curve.mean)


def _summarise_star(evaluation: Evaluation, undefined: dict[str, str]) -> StarScores | None:
    """Return the spokes; what is undefined in them gets its reason."""
    star = evaluation.star
    if star is None:
        return None
    if star.resolved_radius is None:
        reason = "no ring shows a quarter of its variance in a spoke pattern"
        undefined |= {"star.resolved_radius_px": reason, "star.resolved_period_px": reason}
    return StarScores(
        contrast=star.contrast,
        n_spokes=star.n_spokes,
        centre_px=_pair(star.centre),
        resolved_radius_px=star.resolved_radius,
        resolved_period_px=star.resolved_period,
    )


def _summarise_truth(evaluation: Evaluation, undefined: dict[str, str]) -> TruthScores | None:
    """Return the comparison with the known object; what is undefined in it gets its reason."""
    truth = evaluation.truth
    return None if truth is None else describe_pair(truth, evaluation.scan.pixel_size_m, "truth", undefined)


def describe_pair(
    truth: TruthComparison, pixel_size_m: float | None, key: str, undefined: dict[str, str]
) -> TruthScores:
    """Return the numbers of a comparison; what is undefined in it gets its reason under `key`."""
    half = find_crossing(truth.curve, 0.5)
    return TruthScores(
        complex_error=truth.complex_error,
        amplitude_correlation=truth.amplitude_correlation,
        phase_correlation=truth.phase_correlation,
        amplitude=_describe_image(truth.amplitude, f"{key}.amplitude", undefined),
        phase=_describe_image(truth.phase, f"{key}.phase", undefined),
        half=_describe_crossing(half, pixel_size_m, f"{key}.half", undefined),
        shift_px=_pair(truth.aligned.shift),
    )


def _describe_image(scores: ImageScores, key: str, undefined: dict[str, str]) -> ImageFacts:
    """Return the scores of an image; what is undefined gets its reason under `key`."""
    undefined |= {f"{key}.{name}": reason for name, reason in scores.undefined.items()}
    return ImageFacts(**{item.name: getattr(scores, item.name) for item in fields(ImageFacts)})


def _describe_crossing(
    crossing: Crossing, pixel_size_m: float | None, key: str, undefined: dict[str, str]
) -> ThresholdCrossing:
    """Return a crossing with its period; what is undefined gets its reason under `key`."""
    period = 1 / crossing.frequency if crossing.frequency > 0 else None
    if period is None:
        undefined[f"{key}.period_px"] = "the curve is below the threshold from the first ring on"
    if period is None or pixel_size_m is None:
        undefined[f"{key}.period_nm"] = "no crossing, or no pixel size"
    return ThresholdCrossing(
        frequency=crossing.frequency,
        period_px=period,
        period_nm=None if period is None or pixel_size_m is None else period * pixel_size_m * 1e9,
        at_least_nyquist=crossing.at_least_nyquist,
    )


def _pair(values: FloatArray) -> tuple[float, float]:
    """Return a (y, x) array as plain numbers."""
    return float(values[0]), float(values[1])
