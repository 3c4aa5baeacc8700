"""Documents of other loops, read in every spelling and kept byte for byte."""

__all__: list[str] = []
