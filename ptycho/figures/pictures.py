"""Figures made of images: object, probe, spokes, held-out frames, and the comparison with a known object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.figures.style import BLUE, GREY, ORANGE, add_scale_bar, make_figure, show_curve_axes, show_image
from ptycho.metrics.measure import Evaluation
from ptycho.metrics.registration import Placed
from ptycho.metrics.truth import TruthComparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_held_out", "draw_image", "draw_object", "draw_pair", "draw_probe", "draw_star", "draw_truth"]

PHASE_MAP, AMPLITUDE_MAP, POWER_MAP, CYCLIC_MAP, SIGNED_MAP = "gray", "gray", "magma", "twilight", "RdBu_r"
DARK = 0.12  # of the largest amplitude; the phase of darker pixels is not shown
FEWEST_PHOTONS = 0.3  # what a logarithmic colour scale shows for none
DIM_PHOTONS = 10  # a frame that is nowhere brighter is shown on a linear scale
WRAPPING_RANGE_RAD = 5.0  # a phase that spans more is shown with a cyclic colour map


def draw_object(evaluation: Evaluation) -> Figure:
    """Return phase and amplitude of the object over the covered region."""
    return draw_image(evaluation.gauged.image, evaluation.scan.pixel_size_m)


def draw_image(image: Placed, pixel_size_m: float | None) -> Figure:
    """Return phase and amplitude of an object in its gauge, where it is covered."""
    box = scipy.ndimage.find_objects(image.region.astype(np.uint8))[0]
    region, values = image.region[box], image.object[box]
    figure = make_figure(9.4, 4.5)
    axes = figure.subplots(1, 2)
    phase = np.where(region, np.angle(values), np.nan)
    show_image(axes[0], phase, _phase_colours(phase), title="Object, phase", unit="rad")
    amplitude = np.where(region, np.abs(values), np.nan)
    colours = {"cmap": AMPLITUDE_MAP, **_limits(amplitude)}
    show_image(axes[1], amplitude, colours, title="Object, amplitude", unit="relative to the median")
    for panel in axes:
        add_scale_bar(panel, region.shape[1], pixel_size_m)
    return figure


def draw_probe(evaluation: Evaluation) -> Figure:
    """Return amplitude and phase of the strongest probe mode, and the amplitude of up to two more."""
    probe = evaluation.gauged.probe
    shares = np.square(np.abs(probe)).sum(axis=(1, 2))
    shares = shares / shares.sum()
    extra = min(len(probe), 3) - 1
    figure = make_figure(3.9 * (2 + extra), 3.7)
    axes = figure.subplots(1, 2 + extra)
    for mode in range(1 + extra):
        panel = axes[mode if mode == 0 else mode + 1]
        title = f"Probe, mode {mode + 1} ({100 * shares[mode]:.1f} % of the power)"
        show_image(panel, np.abs(probe[mode]), {"cmap": POWER_MAP}, title=title, unit="√photons")
    bright = np.abs(probe[0]) / np.abs(probe[0]).max()
    phase = np.where(bright > DARK, np.angle(probe[0]), np.nan)
    cyclic = {"cmap": CYCLIC_MAP, "vmin": -np.pi, "vmax": np.pi}
    show_image(axes[1], phase, cyclic, title="mode 1, phase", unit="rad")
    for panel in axes:
        add_scale_bar(panel, probe.shape[2], evaluation.scan.pixel_size_m)
    return figure


def draw_star(evaluation: Evaluation) -> Figure | None:
    """Return the star unrolled about the centre that was found, beside its contrast along the radius."""
    star = evaluation.star
    if star is None:
        return None
    angle = np.linspace(0, 2 * np.pi, 900)
    points = star.centre[:, None, None] + star.radius[:, None] * np.stack([np.sin(angle), np.cos(angle)])[:, None]
    unrolled = np.angle(scipy.ndimage.map_coordinates(evaluation.gauged.image.object, points, order=1))
    figure = make_figure(9.4, 3.6)
    picture, curve = figure.subplots(1, 2, width_ratios=(1.5, 1))
    picture.imshow(
        unrolled,
        extent=(0, 360, star.radius[-1], star.radius[0]),
        aspect="auto",
        **_phase_colours(unrolled),
    )
    show_curve_axes(
        picture, title=f"Phase around the centre: {star.n_spokes} spokes", x="angle / degrees", y="radius / px"
    )
    picture.grid(visible=False)
    picture.set_xticks(range(0, 361, 60))
    curve.plot(star.profile, star.radius, color=BLUE, lw=1.5)
    curve.axvline(star.contrast, color=GREY, lw=1, ls="--", label=f"contrast {star.contrast:.2f}")
    if star.resolved_radius is not None:
        label = f"spokes seen down to {star.resolved_radius:.0f} px"
        for panel in (picture, curve):
            panel.axhline(star.resolved_radius, color=ORANGE, lw=1.2, label=label)
    show_curve_axes(curve, title="Variance that lies in the spokes", x="share of the ring", y="")
    curve.set(xlim=(0, 1), ylim=(star.radius[-1], star.radius[0]))
    curve.legend(fontsize=8, framealpha=1, edgecolor="none", loc="lower left")
    return figure


def draw_held_out(evaluation: Evaluation) -> Figure:
    """Return a typical held-out frame, its prediction, and the errors of all frames."""
    from matplotlib.colors import LogNorm, Normalize

    held_out, train = evaluation.held_out, evaluation.train
    figure = make_figure(12.4, 3.6)
    axes = figure.subplots(1, 4)
    counts = np.where(evaluation.scan.mask, held_out.example, np.nan)
    model = held_out.example_model
    brightest = float(held_out.example.max())
    norm = LogNorm(FEWEST_PHOTONS, brightest) if brightest > DIM_PHOTONS else Normalize(0, max(1.0, brightest))
    photons = {"cmap": POWER_MAP, "norm": norm}
    for panel, frame, title in ((axes[0], counts, "A held-out frame"), (axes[1], model, "its prediction")):
        show_image(panel, np.maximum(frame, norm.vmin or 0), photons, title=title, unit="photons")
    signed = {"cmap": SIGNED_MAP, "vmin": -4, "vmax": 4}
    residual = 2 * (np.sqrt(counts) - np.sqrt(model))  # √k has standard deviation ½ where there is light
    show_image(axes[2], residual, signed, title="difference of the roots", unit="standard deviations")
    ratios = [fit.scores.error / fit.scores.error_expected for fit in (train, held_out)]
    bins = np.linspace(0, float(np.concatenate(ratios).max()), 30)
    axes[3].hist(ratios[0], bins, density=True, color=BLUE, alpha=0.45, label="frames fitted")
    axes[3].hist(ratios[1], bins, density=True, histtype="step", color=ORANGE, lw=1.8, label="held out")
    axes[3].axvline(1, color=GREY, lw=1, ls="--", label="photon noise alone")
    axes[3].set_yticks([])
    axes[3].set_xlim(left=0)
    show_curve_axes(axes[3], title="Error of each frame", x="error / Poisson expectation", y="density")
    axes[3].set_box_aspect(1)
    axes[3].legend(fontsize=8, framealpha=1, edgecolor="none", loc="upper left")
    return figure


def draw_truth(evaluation: Evaluation) -> Figure | None:
    """Return the known object, the result in its frame, and their difference, as phases."""
    if evaluation.truth is None:
        return None
    aligned = evaluation.truth.aligned
    inside = aligned.window > 0
    known, found = (np.where(inside, np.angle(values), np.nan) for values in (aligned.reference, aligned.moving))
    difference = np.angle(np.exp(1j * (found - known)))
    figure = make_figure(12.4, 3.9)
    axes = figure.subplots(1, 3)
    colours = _phase_colours(known)
    reach = float(np.nanpercentile(np.abs(difference), 99.5))
    signed = {"cmap": SIGNED_MAP, "vmin": -reach, "vmax": reach}
    show_image(axes[0], known, colours, title="Phase, known", unit="rad")
    show_image(axes[1], found, colours, title="reconstructed", unit="rad")
    show_image(axes[2], difference, signed, title="difference", unit="rad")
    for panel in axes:
        add_scale_bar(panel, inside.shape[1], evaluation.scan.pixel_size_m)
    return figure


def _limits(image: NDArray[np.floating]) -> dict[str, float]:
    """Return colour limits that leave half a percent of the pixels out on each side."""
    low, high = np.nanpercentile(image, (0.5, 99.5))
    return {"vmin": float(low), "vmax": float(high)}


def _phase_colours(phase: NDArray[np.floating]) -> dict[str, object]:
    """Return a cyclic colour map for a phase that wraps, a plain one with tight limits otherwise."""
    limits = _limits(phase)
    if limits["vmax"] - limits["vmin"] > WRAPPING_RANGE_RAD:
        return {"cmap": CYCLIC_MAP, "vmin": -np.pi, "vmax": np.pi}
    return {"cmap": PHASE_MAP, **limits}


def draw_pair(pair: TruthComparison, titles: tuple[str, str], pixel_size_m: float | None) -> Figure:
    """Return phase and amplitude of a result and of its reference on one scale, and their difference."""
    aligned = pair.aligned
    known = aligned.window > 0
    factor = (aligned.window * aligned.moving.conj() * aligned.reference).sum()
    found = aligned.moving * factor / abs(factor)
    figure = make_figure(11.0, 7.0)
    axes = figure.subplots(2, 3)
    difference = np.angle(found * aligned.reference.conj())
    phases = [np.where(known, np.angle(values), np.nan) for values in (found, aligned.reference)]
    amplitudes = [np.where(known, np.abs(values), np.nan) for values in (found, aligned.reference)]
    rows = (
        ("phase", "rad", phases, np.where(known, difference, np.nan), _phase_colours(phases[1])),
        ("amplitude", "", amplitudes, amplitudes[0] - amplitudes[1], {"cmap": AMPLITUDE_MAP, **_limits(amplitudes[1])}),
    )
    for panels, (name, unit, images, left, colours) in zip(axes, rows, strict=True):
        for panel, image, title in zip(panels[:2], images, titles, strict=True):
            show_image(panel, image, colours, title=f"{title}, {name}", unit=unit)
        bound = float(np.nanpercentile(np.abs(left), 99)) or 1.0
        signed = {"cmap": SIGNED_MAP, "vmin": -bound, "vmax": bound}
        show_image(panels[2], left, signed, title=f"difference in {name}", unit=unit)
    for panel in axes.ravel():
        add_scale_bar(panel, known.shape[1], pixel_size_m)
    return figure
