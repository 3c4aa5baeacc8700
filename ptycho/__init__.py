"""Ptychography: one definition of the physics, solvers, scores and figures that can be trusted."""

__all__ = ["__version__"]

__version__ = "0.1.0"
