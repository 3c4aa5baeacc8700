"""The published names: thin, and the only place with mutable state; the library itself never looks here."""

__all__: list[str] = []
