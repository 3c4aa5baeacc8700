"""The published names of networks; a framework is imported when one is built, and not before."""

from ptycho.compat.model import PtychoModel, TrainingHistory, create_model_with_gridsize, train

__all__ = ["PtychoModel", "TrainingHistory", "create_model_with_gridsize", "train"]
