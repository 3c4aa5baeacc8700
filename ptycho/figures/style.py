"""How every figure looks: colours, image panels with a scale bar, and files that stay small."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "add_scale_bar",
    "make_figure",
    "render_figure",
    "show_curve_axes",
    "show_image",
]

# Okabe & Ito's colours: told apart with any colour vision
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
LIMIT_BYTES = 300_000
RESOLUTIONS_DPI = (130, 100, 75, 50)
LABEL_SIZE, TITLE_SIZE = 9, 10


def make_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, of which no global state of matplotlib knows."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def render_figure(figure: Figure) -> bytes:
    """Return a figure as PNG at the highest of a few resolutions that keeps it below 300 kB.

    A palette of 256 colours is tried before a lower resolution.
    """
    for dpi in RESOLUTIONS_DPI:
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=dpi, pil_kwargs={"compress_level": 1})
        image = Image.open(drawn).convert("RGB")
        for version in (image, image.quantize(256, dither=Image.Dither.NONE)):
            packed = io.BytesIO()
            version.save(packed, format="png", optimize=True)
            if packed.tell() <= LIMIT_BYTES:
                return packed.getvalue()
    return packed.getvalue()


def show_image(
    axes: Axes,
    image: NDArray[np.floating],
    colours: Mapping[str, Any],
    *,
    title: str,
    unit: str = "",
    bar: bool = True,
) -> None:
    """Show an image without ticks, with its title and a colour bar; NaN is left white.

    Parameters
    ----------
    axes
        Where to draw.
    image
        (h, w) float.
    colours
        What `Axes.imshow` takes: cmap, vmin, vmax, norm.
    title, unit
        Above the image, and beside the colour bar.
    bar
        False leaves the colour bar out.
    """
    shown = axes.imshow(image, interpolation="nearest", **colours)
    axes.set_title(title, fontsize=TITLE_SIZE)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if bar:
        colour_bar = axes.figure.colorbar(shown, cax=axes.inset_axes((1.02, 0, 0.04, 1)))
        colour_bar.set_label(unit, fontsize=LABEL_SIZE)
        colour_bar.ax.tick_params(labelsize=LABEL_SIZE - 1)
        colour_bar.outline.set_visible(False)


def add_scale_bar(axes: Axes, width_px: int, pixel_size_m: float | None) -> None:
    """Draw a bar of a round length below an image `width_px` wide: in µm or nm, or in pixels without a size."""
    from matplotlib.transforms import blended_transform_factory

    pixel, unit = 1.0, "px"
    if pixel_size_m is not None:
        pixel, unit = pixel_size_m * 1e9, "nm"
        if pixel * width_px / 4 >= 1000:
            pixel, unit = pixel_size_m * 1e6, "µm"
    target = pixel * width_px / 4
    power = 10.0 ** np.floor(np.log10(target))
    length = max(step * power for step in (1, 2, 5) if step * power <= target)
    place = blended_transform_factory(axes.transData, axes.transAxes)
    axes.plot([0, length / pixel], [-0.025, -0.025], transform=place, color="black", lw=3, clip_on=False)
    axes.text(
        length / pixel + 0.02 * width_px,
        -0.025,
        f"{length:g} {unit}",
        transform=place,
        va="center",
        fontsize=LABEL_SIZE,
    )


def show_curve_axes(axes: Axes, *, title: str, x: str, y: str) -> None:
    """Label the axes of a curve and leave only what is needed to read it."""
    axes.set_title(title, fontsize=TITLE_SIZE)
    axes.set_xlabel(x, fontsize=LABEL_SIZE)
    axes.set_ylabel(y, fontsize=LABEL_SIZE)
    axes.tick_params(labelsize=LABEL_SIZE - 1)
    axes.grid(color="#e6e6e6", lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
