"""Fluence: photons per square micrometre of the object."""

from __future__ import annotations

__all__ = ["fluence"]

MICROMETRES = 1e6  # in a metre


def fluence(photons: float, lit_pixels: float, pixel_size_m: float) -> float:
    """Return the photons on an area, divided by that area, in photons/µm².

    Parameters
    ----------
    photons
        That fell on these pixels: the counts of a frame, or of all frames of a scan.
    lit_pixels
        Area in object pixels; for one frame the disc π R² that holds 90 % of the probe's power.
    pixel_size_m
        Size of an object pixel in metres.

    Raises
    ------
    ValueError
        If there is no area.
    """
    if not (lit_pixels > 0 and pixel_size_m > 0):
        raise ValueError(f"fluence: expected lit pixels and a pixel size above 0, found {lit_pixels}, {pixel_size_m}")
    return photons / (lit_pixels * (MICROMETRES * pixel_size_m) ** 2)
