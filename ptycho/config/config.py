"""The published names of the records of settings; no framework is needed to import them."""

from ptycho.compat.config import InferenceConfig, ModelConfig, TrainingConfig, update_legacy_dict

__all__ = ["InferenceConfig", "ModelConfig", "TrainingConfig", "update_legacy_dict"]
