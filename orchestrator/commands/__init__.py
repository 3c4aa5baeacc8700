"""The commands of `python -m orchestrator`, one file each: `add_arguments` and `run`."""

__all__: list[str] = []
