"""Figures made of curves and arrows: ring correlation, convergence, and where frames went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ptycho.figures.style import BLUE, GREEN, GREY, ORANGE, make_figure, show_curve_axes
from ptycho.metrics.frc import Crossing, find_crossing
from ptycho.metrics.measure import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_convergence", "draw_positions", "draw_ring_correlation"]

ENLARGED = (1, 2, 5, 10, 20, 50, 100)  # how many times as long arrows are drawn, so long as they stay apart


def draw_ring_correlation(evaluation: Evaluation) -> Figure | None:
    """Return the ring correlation of the halves with its thresholds, and that with the truth where known."""
    halves, truth = evaluation.half_sets, evaluation.truth
    if halves is None and truth is None:
        return None
    figure = make_figure(6.2, 3.9)
    axes = figure.subplots()
    if halves is not None:
        curve = halves.curve
        axes.plot(curve.frequency, curve.correlation, color=BLUE, lw=1.6, label="half against half")
        axes.plot(curve.frequency, halves.half_bit, color=GREY, lw=1, ls="--", label="half-bit")
        axes.axhline(1 / 7, color=GREY, lw=1, ls=":", label="1/7")
        _mark(axes, find_crossing(curve, halves.half_bit), BLUE)
    if truth is not None:
        axes.plot(truth.curve.frequency, truth.curve.correlation, color=GREEN, lw=1.6, label="result against truth")
        axes.axhline(0.5, color=GREEN, lw=1, ls="--", label="0.5")
        _mark(axes, find_crossing(truth.curve, 0.5), GREEN)
    show_curve_axes(axes, title="Fourier ring correlation", x="spatial frequency / cycles per pixel", y="correlation")
    axes.axhline(0, color="black", lw=0.6)
    axes.set(xlim=(0, 0.5), ylim=(-0.15, 1.02))
    axes.legend(fontsize=8, framealpha=1, edgecolor="none")
    return figure


def draw_convergence(evaluation: Evaluation) -> Figure | None:
    """Return R against the epoch as the solver recorded it, beside what is measured here at the end."""
    from matplotlib.ticker import MaxNLocator

    history = evaluation.reconstruction.history
    if not history:
        return None
    figure = make_figure(6.2, 3.9)
    axes = figure.subplots()
    epochs = np.arange(1, len(history) + 1)
    axes.semilogy(epochs, history, color=BLUE, lw=1.6, marker=".", label="during the run (solver's record)")
    held_out, train = evaluation.held_out.scores, evaluation.train.scores
    axes.axhline(held_out.fourier_error, color=ORANGE, lw=1.4, label="held-out frames, final")
    axes.axhline(train.fourier_error, color=BLUE, lw=1, ls="--", label="frames fitted, final")
    axes.axhline(train.fourier_error_expected, color=GREY, lw=1, ls=":", label="photon noise alone, frames fitted")
    show_curve_axes(axes, title="Convergence", x="epoch", y="Fourier error R")
    axes.set_xlim(1, max(2, len(history)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=8, framealpha=1, edgecolor="none")
    return figure


def draw_positions(evaluation: Evaluation) -> Figure | None:
    """Return an arrow for each fitted frame, from where it was said to be towards where it went."""
    moved, reconstruction = evaluation.moved, evaluation.reconstruction
    if moved is None:
        return None
    given_y, given_x = (reconstruction.probe_positions - moved).T
    length = float(np.sqrt(np.square(moved).sum(axis=1).mean()))
    spacing = np.sqrt(np.ptp(given_y) * np.ptp(given_x) / moved.shape[0])
    drawn = max((times for times in ENLARGED if times * length <= spacing), default=1)
    figure = make_figure(6.2, 6.2)
    axes = figure.subplots()
    axes.scatter(given_x, given_y, s=3, color=GREY, label="as given")
    axes.quiver(given_x, given_y, *moved.T[::-1], angles="xy", scale_units="xy", scale=1 / drawn, color=ORANGE)
    times = "" if drawn == 1 else f"; arrows {drawn} times as long"
    axes.plot([], [], color=ORANGE, label=f"refined: {length:.2f} px, root mean square{times}")
    show_curve_axes(axes, title="Positions of the frames", x="x / px", y="y / px")
    axes.set_aspect("equal")
    axes.invert_yaxis()
    figure.legend(fontsize=8, edgecolor="none", loc="outside lower center", ncols=2)
    return figure


def _mark(axes: Axes, crossing: Crossing, colour: str) -> None:
    """Mark where a curve crosses its threshold."""
    if crossing.at_least_nyquist or crossing.frequency == 0:
        return
    axes.axvline(crossing.frequency, color=colour, lw=0.8, alpha=0.6)
    axes.annotate(
        f"{crossing.frequency:.3f} = {1 / crossing.frequency:.1f} px",
        (crossing.frequency, -0.12),
        xytext=(4, 0),
        textcoords="offset points",
        fontsize=8,
        color=colour,
    )
