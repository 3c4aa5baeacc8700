"""The operators of `ptycho.physics` in one place."""

from ptycho.physics.forward import diffract, predict_intensity, predict_patches
from ptycho.physics.groups import accumulate_canvas, accumulate_groups, merge_groups, sample_groups, spread_groups
from ptycho.physics.patches import extract_patches, scatter_patches
from ptycho.physics.propagation import backpropagate, propagate, sum_modes
from ptycho.physics.shift import shift_probe
from ptycho.physics.translation import translate

__all__ = [
    "accumulate_canvas",
    "accumulate_groups",
    "backpropagate",
    "diffract",
    "extract_patches",
    "merge_groups",
    "predict_intensity",
    "predict_patches",
    "propagate",
    "sample_groups",
    "scatter_patches",
    "shift_probe",
    "spread_groups",
    "sum_modes",
    "translate",
]
