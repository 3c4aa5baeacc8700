"""The documents of the loop as records: parse and render, pure."""

__all__: list[str] = []
