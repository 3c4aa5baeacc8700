"""What people read: live progress, the end of a run, the status."""

__all__: list[str] = []
