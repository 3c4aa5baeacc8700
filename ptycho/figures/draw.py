"""All figures of an evaluation, drawn and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ptycho.figures.curves import draw_convergence, draw_positions, draw_ring_correlation
from ptycho.figures.pictures import draw_held_out, draw_object, draw_probe, draw_star, draw_truth
from ptycho.figures.style import render_figure
from ptycho.metrics.measure import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_figures"]


def draw_figures(evaluation: Evaluation, folder: Path) -> dict[str, int]:
    """Write the figures that are defined for an evaluation as PNG files of at most 300 kB.

    Parameters
    ----------
    evaluation
        What was measured.
    folder
        Where to write; must exist.

    Returns
    -------
    dict
        Name of each figure, without .png, to the size of its file in bytes.
    """
    sizes = {}
    for name, figure in _draw_all(evaluation):
        if figure is not None:
            content = render_figure(figure)
            (folder / f"{name}.png").write_bytes(content)
            sizes[name] = len(content)
    return sizes


def _draw_all(evaluation: Evaluation) -> Iterator[tuple[str, Figure | None]]:
    """Yield each figure with its name, one at a time."""
    draw: dict[str, Callable[[Evaluation], Figure | None]] = {
        "object": draw_object,
        "probe": draw_probe,
        "star": draw_star,
        "frc": draw_ring_correlation,
        "positions": draw_positions,
        "held_out": draw_held_out,
        "convergence": draw_convergence,
        "truth": draw_truth,
    }
    for name, make in draw.items():
        yield name, make(evaluation)
