"""The published place of workflows; its names are in `ptycho.workflows.components`."""

__all__: list[str] = []
