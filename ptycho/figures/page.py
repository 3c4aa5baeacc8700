"""The one-page summary of an evaluation, for someone who wants to know whether to trust the picture."""

from __future__ import annotations

from collections.abc import Collection

from ptycho.metrics.criteria import CRITERIA
from ptycho.metrics.schema import Metrics, ThresholdCrossing

__all__ = ["render_page"]


def render_page(metrics: Metrics, figures: Collection[str]) -> str:
    """Return summary.md.

    Parameters
    ----------
    metrics
        The record of the evaluation.
    figures
        Names of the figures that lie beside the page.
    """
    parts = [
        _render_head(metrics),
        _render_criteria(metrics),
        _show("object", "Phase and amplitude of the object over the covered region.", figures),
        _show("truth", "Against the known object, in one frame.", figures),
        _show(
            "star",
            "The star unrolled about its centre, and the share of each ring that is spokes; seen is not resolved.",
            figures,
        ),
        "## Why believe it\n",
        _describe_held_out(metrics),
        _show("positions", "Where the frames were said to be, and where they went.", figures),
        _show("held_out", "A typical frame that the solver never saw, and what the result predicts.", figures),
        _describe_halves(metrics),
        _describe_refit(metrics),
        _show("frc", "Correlation ring by ring in the Fourier plane.", figures),
        _show("probe", "The illumination that was found with the object.", figures),
        _show(
            "convergence",
            "R while the solver ran, by its own record; lines: what was measured here at the end.",
            figures,
        ),
        _render_numbers(metrics),
        _render_limits(metrics),
    ]
    return "\n".join(part for part in parts if part)


def _render_head(metrics: Metrics) -> str:
    """Return title and verdict."""
    scan = metrics.scan
    asked = [name for name, result in metrics.criteria.items() if result.passed is not None]
    failed = [name for name in asked if metrics.criteria[name].passed is False]
    names = ", ".join(f"`{name}`" for name in failed)
    verdict = (
        f"**{len(failed)} of {len(asked)} criteria are not met: {names}.**"
        if failed
        else f"**All {len(asked)} criteria that apply are met.**"
    )
    control = "" if scan.sabotage == "none" else f" The scan was spoilt on purpose ({scan.sabotage})."
    if metrics.spoilt != "none":
        control += f" The results were spoilt on purpose ({metrics.spoilt})."
    dose = "" if scan.photons_per_frame is None else f", {scan.photons_per_frame:.3g} photons each"
    return (
        f"# {scan.name}: the reconstruction, and how far to trust it\n\n{verdict}{control} "
        f"{scan.n_frames} frames of {scan.frame_height} × {scan.frame_width} pixels{dose}.\n"
    )


def _render_criteria(metrics: Metrics) -> str:
    """Return the table of criteria."""
    lines = ["| question | measured | needed | met |", "|---|---|---|---|"]
    for criterion in CRITERIA:
        result = metrics.criteria[criterion.name]
        value = "undefined" if result.value is None else f"{result.value:.3g}"
        if result.passed is None:
            lines.append(f"| {criterion.question} (`{criterion.name}`) | – | – | does not apply |")
            continue
        needed = f"{result.comparison.replace('<=', '≤').replace('>=', '≥')} {result.threshold:g}"
        lines.append(f"| {criterion.question} (`{criterion.name}`) | {value} | {needed} | {_tick(result.passed)} |")
    return "\n".join(lines) + "\n"


def _describe_held_out(metrics: Metrics) -> str:
    """Return what the held-out frames say."""
    fidelity = metrics.fidelity
    held_out, train = fidelity.held_out, fidelity.train
    fitted = "With one intensity factor each and nothing else"
    if metrics.positions is not None:
        fitted = (
            f"Frames were free to move, and the fitted ones went {metrics.positions.moved_rms_px:.2f} px (root mean "
            f"square; {metrics.positions.moved_max_px:.1f} px at most); together they stretched the scan by "
            f"{metrics.positions.stretch_y:+.1%} in y and {metrics.positions.stretch_x:+.1%} in x. With a position "
            "each, found from one half of the pixels and scored on the other, one intensity factor and nothing else"
        )
    return (
        f"{held_out.n_frames} frames were kept from the solver. {fitted} fitted, the result predicts them with "
        f"{held_out.error_over_expected:.2f} ± {held_out.error_over_expected_error:.2f} times the error that photon "
        f"noise alone would leave (frames it was fitted to: {train.error_over_expected:.2f}). 1 would be perfect; "
        "below 1 on the fitted frames would mean that noise was fitted. Light smeared into dark pixels can lower such "
        f"a ratio, so the deviance itself is judged too: {fidelity.gain_over_mean_frame:.1f} times smaller than under "
        f"the average frame, and {held_out.deviance_over_expected:.2f} times its expectation.\n"
    )


def _describe_halves(metrics: Metrics) -> str:
    """Return what the half sets say."""
    halves = metrics.half_sets
    if halves is None:
        return f"Reproducibility is unknown: {metrics.undefined['half_sets']}.\n"
    return (
        "The fitted frames were split into two halves that alternate in space, and each was reconstructed from "
        f"its own random start. The two pictures agree {_describe_crossing(halves.half_bit)} by the half-bit "
        f"criterion, and {_describe_crossing(halves.one_seventh)} by the older 1/7. Alone, they predict the "
        f"held-out frames with a deviance of {halves.held_out_a.deviance_over_expected:.2f} and "
        f"{halves.held_out_b.deviance_over_expected:.2f} times its expectation.\n"
    )


def _describe_refit(metrics: Metrics) -> str:
    """Return how the result of all frames compares with the one that was judged."""
    if metrics.refit is None:
        return "`result.npz` holds the judged object and probe, in their gauge.\n"
    return (
        "`result.npz` holds object and probe of all frames, reconstructed with the same settings, in their gauge; "
        f"their mean ring correlation with the judged result is {metrics.refit.mean_correlation:.3f}.\n"
    )


def _describe_crossing(crossing: ThresholdCrossing) -> str:
    """Return a resolution in words."""
    if crossing.period_px is None:
        return "nowhere"
    length = f"{crossing.period_px:.1f} px"
    if crossing.period_nm is not None:
        length += f" ({crossing.period_nm:.3g} nm)"
    reach = "at least down to the pixel, periods of" if crossing.at_least_nyquist else "down to periods of"
    return f"{reach} {length}"


def _render_numbers(metrics: Metrics) -> str:
    """Return the table of all other figures."""
    fidelity, gauge = metrics.fidelity, metrics.gauge
    lines = ["## Numbers\n", "| | frames fitted | held out |", "|---|---|---|"]
    for label, name, form in (
        ("R = Σ(√k − √λ)² / Σk", "fourier_error", ".5f"),
        ("its Poisson expectation", "fourier_error_expected", ".5f"),
        ("R, no factor fitted", "fourier_error_as_returned", ".5f"),
        ("deviance over its expectation", "deviance_over_expected", ".2f"),
        ("scatter of the intensity factors", "frame_factor_scatter", ".4f"),
    ):
        values = (format(getattr(part, name), form) for part in (fidelity.train, fidelity.held_out))
        lines.append(f"| {label} | {' | '.join(values)} |")
    modes = ", ".join(f"{100 * share:.1f} %" for share in gauge.mode_shares)
    lines.append(
        f"\nHeld out over fitted: {fidelity.held_out_over_train:.3f} ± {fidelity.held_out_over_train_error:.3f}. "
        f"Gauge: median amplitude 1, mean phase 0, no ramp, probe centred; probe power {gauge.probe_power:.4g} "
        f"photons (modes {modes}), mean transmission {gauge.mean_transmission:.3f}."
    )
    if metrics.truth is not None:
        truth = metrics.truth
        lines.append(
            f"Against the known object: complex error {truth.complex_error:.4f}, correlation of the amplitude "
            f"{truth.amplitude_correlation:.4f} and of the phase {truth.phase_correlation:.4f}, right "
            f"{_describe_crossing(truth.half)}."
        )
    return "\n".join(lines) + "\n"


def _render_limits(metrics: Metrics) -> str:
    """Return what these numbers cannot tell."""
    excess = metrics.fidelity.train.error_over_expected - 1
    lines = [
        "## What this does not tell\n",
        "- Agreement of halves is reproducibility, not accuracy: an error both share stays unseen.",
        "- The thresholds are established for some 30 000 to 460 000 photons a frame. A good result can fail `gain` "
        "with far fewer, or with a faint object, and `held_out` and `deviance` with far more; see docs/thresholds.md.",
        "- Turning the object by 180° and conjugating it gives the same frames; no number here can tell them apart.",
    ]
    if excess > 0.1:
        lines.append(
            f"- {100 * excess:.0f} % of error beyond photon noise is left in the fitted frames: what the model leaves "
            "out, such as positions, background or drift of the beam."
        )
    return "\n".join(lines) + "\n"


def _show(name: str, caption: str, figures: Collection[str]) -> str:
    """Return a figure with its caption, nothing where it is not defined."""
    return f"![{caption}]({name}.png)\n\n*{caption}*\n" if name in figures else ""


def _tick(passed: bool) -> str:
    return "yes" if passed else "**no**"
