"""The physics, defined once in numpy: canvas, patches, sub-pixel shifts, propagation, forward model."""

from ptycho.physics.canvas import Canvas, make_canvas, split_positions
from ptycho.physics.forward import predict_intensity
from ptycho.physics.patches import extract_patches, scatter_patches

__all__ = [
    "Canvas",
    "extract_patches",
    "make_canvas",
    "predict_intensity",
    "scatter_patches",
    "split_positions",
]
