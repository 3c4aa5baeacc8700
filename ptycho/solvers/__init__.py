"""Iterative solvers and the record they return."""

from ptycho.reconstruction import Reconstruction, load_reconstruction, save_reconstruction
from ptycho.solvers.rpie import Epoch, RPIEOptions, reconstruct

__all__ = [
    "Epoch",
    "RPIEOptions",
    "Reconstruction",
    "load_reconstruction",
    "reconstruct",
    "save_reconstruction",
]
