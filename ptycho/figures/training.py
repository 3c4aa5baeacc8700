"""The figure of a training: its losses against time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptycho.figures.style import BLUE, GREY, ORANGE, make_figure, show_curve_axes
from ptycho.train.history import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_training"]


def draw_training(history: History) -> Figure:
    """Return the losses of a training against time, and which epoch was kept."""
    figure = make_figure(6.2, 3.9)
    axes = figure.subplots()
    minutes = [record.seconds / 60 for record in history.epochs]
    axes.semilogy(minutes, [record.loss for record in history.epochs], color=BLUE, lw=1.6, marker=".", label="training")
    judged = [(time, record.validation_loss) for time, record in zip(minutes, history.epochs, strict=True)]
    if history.best is not None and history.best.validation_loss is not None:
        axes.semilogy(*zip(*judged, strict=True), color=ORANGE, lw=1.6, marker=".", label="validation")
        axes.axvline(history.best.seconds / 60, color=GREY, lw=1, ls="--", label=f"kept: epoch {history.best.epoch}")
    show_curve_axes(axes, title="Training", x="time / min", y="loss")
    axes.legend(fontsize=8, framealpha=1, edgecolor="none")
    return figure
