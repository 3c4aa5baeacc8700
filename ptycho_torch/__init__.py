"""The published names of the PyTorch half; everything they do is done by `ptycho`."""

__all__: list[str] = []
