"""The published names that need TensorFlow."""

__all__: list[str] = []
