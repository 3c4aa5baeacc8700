"""The published names of loading a model and inferring with it."""

from ptycho.compat.workflows import load_inference_bundle, perform_inference

__all__ = ["load_inference_bundle", "perform_inference"]
