"""Iterative solvers and the record they return."""

from ptycho.solvers.reconstruction import Reconstruction, load_reconstruction, save_reconstruction

__all__ = ["Reconstruction", "load_reconstruction", "save_reconstruction"]
