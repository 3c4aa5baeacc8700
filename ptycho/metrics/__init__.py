"""Scores that compare a reconstruction with counting statistics, with its other half and with the truth."""

__all__: list[str] = []
