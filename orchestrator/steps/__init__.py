"""The steps of a turn, in the order of the files: begin, gather, prove, keep."""

__all__: list[str] = []
