"""Fluence: photons per square micrometre of the object."""

from __future__ import annotations

__all__ = ["fluence"]


def fluence(photons: float, lit_pixels: float, pixel_size_m: float) -> float:
    """Return the photons on an area, divided by that area."""
    if not (lit_pixels > 0 and pixel_size_m > 0):
        raise ValueError(f"fluence: expected lit pixels and a pixel size above 0, found {lit_pixels}, {pixel_size_m}")
    return photons / (lit_pixels * pixel_size_m**2)
