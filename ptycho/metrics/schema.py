"""The record of an evaluation and its JSON form `ptycho-metrics/1`: each field is a key of metrics.json."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ptycho.errors import DataError

__all__ = [
    "SCHEMA",
    "CriterionResult",
    "Fidelity",
    "FrameSetScores",
    "GaugeFacts",
    "HalfSetScores",
    "ImageFacts",
    "Metrics",
    "PositionFacts",
    "RefitScores",
    "ScanFacts",
    "StarScores",
    "ThresholdCrossing",
    "TruthScores",
    "render_metrics",
]

SCHEMA = "ptycho-metrics/1"


@dataclass(frozen=True)
class ScanFacts:
    """What was evaluated.

    Attributes
    ----------
    name, sabotage
        The data set, and what was done to it beforehand ("none" for an honest run).
    n_frames, frame_height, frame_width
        Exposures, and their size in pixels.
    photons_per_frame
        Mean counts of a frame over valid pixels.
    pixel_size_m
        Size of an object pixel; undefined when the file does not say.
    """

    name: str
    sabotage: str
    n_frames: int
    frame_height: int
    frame_width: int
    photons_per_frame: float | None
    pixel_size_m: float | None


@dataclass(frozen=True)
class FrameSetScores:
    """Scores of a set of frames, one intensity factor a frame fitted, nothing else but what `PositionFacts` tells.

    Attributes
    ----------
    n_frames
        How many frames were scored.
    fourier_error, fourier_error_expected
        R = Σ(√k − √λ)² / Σk, and what Poisson(λ) leaves of it: the shot-noise floor.
    error_over_expected, error_over_expected_error
        Their ratio (1 at the truth, below 1 for a fit to noise) with its bootstrap error over frames.
    deviance_over_expected
        Poisson deviance over its expectation.
    nll_per_pixel
        Mean of λ' − k ln λ', λ' = λ + 1e-6.
    frame_factor_scatter
        Standard deviation of the intensity factors.
    fourier_error_as_returned
        R with every factor left at 1: the figure other programs print.
    """

    n_frames: int
    fourier_error: float
    fourier_error_expected: float
    error_over_expected: float
    error_over_expected_error: float
    deviance_over_expected: float
    nll_per_pixel: float
    frame_factor_scatter: float
    fourier_error_as_returned: float


@dataclass(frozen=True)
class Fidelity:
    """How the reconstruction explains frames it was fitted to and frames it never saw.

    Attributes
    ----------
    train, held_out
        Scores of both sets.
    held_out_over_train, held_out_over_train_error
        Ratio of their `error_over_expected`, with its bootstrap error.
    gain_over_mean_frame
        On the held-out frames: deviance of the mean training frame over that of the reconstruction. Ratios to
        an expectation at the model's own λ fall when λ is smeared, and are near 1 where photons are few; a
        quotient of two deviances is neither.
    """

    train: FrameSetScores
    held_out: FrameSetScores
    held_out_over_train: float
    held_out_over_train_error: float
    gain_over_mean_frame: float


@dataclass(frozen=True)
class PositionFacts:
    """Where the frames went while their positions were refined; held-out frames are then placed by half their pixels.

    Attributes
    ----------
    moved_rms_px, moved_max_px
        Distance between the position that a fitted frame was given and the one it ended at: root mean square, largest.
    stretch_y, stretch_x
        What the moves have in common along each axis: 0.01 for a scan that became 1 % larger, as where pixel size or
        stage are scaled wrongly; 0 across a single line of frames.
    """

    moved_rms_px: float
    moved_max_px: float
    stretch_y: float
    stretch_x: float


@dataclass(frozen=True)
class GaugeFacts:
    """The gauge in which everything but the frame scores is measured.

    Attributes
    ----------
    probe_power, mean_transmission
        Σ|P|² in photons per frame, and mean |O|² under the beam; their product is the mean counts of a frame.
    mode_shares
        Share of the power in each probe mode, strongest first.
    covered_pixels
        Object pixels that got at least 10 % of the largest exposure.
    """

    probe_power: float
    mean_transmission: float
    mode_shares: tuple[float, ...]
    covered_pixels: int


@dataclass(frozen=True)
class ThresholdCrossing:
    """Where a ring correlation first falls below a threshold.

    Attributes
    ----------
    frequency
        Cycles per pixel; 0.5 when it never does.
    period_px, period_nm
        1 / frequency; undefined at frequency 0, and in nm without a pixel size.
    at_least_nyquist
        True when it never does.
    """

    frequency: float
    period_px: float | None
    period_nm: float | None
    at_least_nyquist: bool


@dataclass(frozen=True)
class HalfSetScores:
    """Two reconstructions of two halves of the frames, compared: reproducibility, not accuracy.

    Attributes
    ----------
    half_bit, one_seventh
        Resolution by the half-bit curve, and by the constant 1/7.
    mean_correlation
        Signed correlation averaged over the Fourier plane up to Nyquist.
    shift_px
        Shift between the halves that was taken out, (y, x).
    held_out_a, held_out_b
        Scores of the held-out frames under each half alone: agreement is worth something only between results
        that explain the data.
    worst_deviance_over_expected
        The larger `deviance_over_expected` of the two.
    """

    half_bit: ThresholdCrossing
    one_seventh: ThresholdCrossing
    mean_correlation: float
    shift_px: tuple[float, float]
    held_out_a: FrameSetScores
    held_out_b: FrameSetScores
    worst_deviance_over_expected: float


@dataclass(frozen=True)
class RefitScores:
    """The reconstruction of all frames, made with the settings that the held-out frames have approved.

    Attributes
    ----------
    fit
        Scores of all frames.
    mean_correlation
        Signed ring correlation with the judged result, averaged over the Fourier plane up to Nyquist.
    """

    fit: FrameSetScores
    mean_correlation: float


@dataclass(frozen=True)
class StarScores:
    """The spokes in the picture; see `ptycho.metrics.star.Star`.

    Attributes
    ----------
    contrast
        Share of the angular variance that lies in the spoke pattern, in [0, 1].
    n_spokes
        Periods around the circle.
    centre_px
        Array index (y, x) in the reconstructed object.
    resolved_radius_px, resolved_period_px
        Radius down to which the spokes are seen, and the width of one period there; seen, not resolved.
    """

    contrast: float
    n_spokes: int
    centre_px: tuple[float, float]
    resolved_radius_px: float | None
    resolved_period_px: float | None


@dataclass(frozen=True)
class ImageFacts:
    """Scores of one image against the true one; see `ptycho.metrics.images.ImageScores`.

    Attributes
    ----------
    mae, mse
        Mean |A − B| and |A − B|² over the covered region.
    psnr, ssim, ms_ssim
        Signal to noise in dB, structural similarity at one scale and over five.
    data_range
        The range that these three refer to.
    """

    mae: float
    mse: float
    psnr: float | None
    ssim: float | None
    ms_ssim: float | None
    data_range: float


@dataclass(frozen=True)
class TruthScores:
    """Comparison with a known object, after gauge and registration.

    Attributes
    ----------
    complex_error
        ‖cO − T‖ / ‖T‖ over the covered region, c the best complex number.
    amplitude_correlation, phase_correlation
        Pearson correlation of |O| with |T|, and of exp(i arg O) with exp(i arg T).
    amplitude, phase
        Image scores of the same pairs.
    half
        Where the ring correlation with the truth falls below 0.5.
    shift_px
        Shift that was taken out, (y, x).
    """

    complex_error: float
    amplitude_correlation: float
    phase_correlation: float
    amplitude: ImageFacts
    phase: ImageFacts
    half: ThresholdCrossing
    shift_px: tuple[float, float]


@dataclass(frozen=True)
class CriterionResult:
    """One threshold: `passed` says whether ``value comparison threshold`` holds, None where it does not apply."""

    value: float | None
    comparison: str
    threshold: float
    passed: bool | None


@dataclass(frozen=True)
class Metrics:
    """Everything that one evaluation found.

    Attributes
    ----------
    scan, fidelity, positions, gauge, half_sets, refit, star, truth
        The parts above; a part that is undefined is None.
    spoilt
        What was done to the result on purpose ("none" for an honest one).
    criteria
        Each criterion of `ptycho.metrics.criteria` by name.
    passed
        True when no criterion failed.
    undefined
        For each None above, its dotted key and the reason.

    Raises
    ------
    DataError
        If a number is not finite, or a None has no reason, or a reason no None.
    """

    scan: ScanFacts
    fidelity: Fidelity
    positions: PositionFacts | None
    gauge: GaugeFacts
    half_sets: HalfSetScores | None
    refit: RefitScores | None
    star: StarScores | None
    truth: TruthScores | None
    criteria: Mapping[str, CriterionResult]
    passed: bool
    spoilt: str = "none"
    undefined: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        leaves = dict(_walk(dataclasses.asdict(self)))
        for key, value in leaves.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise DataError(f"metrics: {key}: expected a finite number, found {value}")
        empty = {key for key, value in leaves.items() if value is None}
        if empty != set(self.undefined):
            raise DataError(
                f"metrics: expected a reason for each undefined value, found values {sorted(empty)} "
                f"and reasons for {sorted(self.undefined)}"
            )


def render_metrics(metrics: Metrics) -> str:
    """Return metrics.json: the record's fields as nested keys, with `schema` first."""
    body = {"schema": SCHEMA, **dataclasses.asdict(metrics)}
    return json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _walk(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield each leaf of nested mappings with its dotted key; tuples count as leaves, element by element."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{path}[{index}]")
    else:
        yield path, value
