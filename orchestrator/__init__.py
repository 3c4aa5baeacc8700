"""A harness that runs a supervisor and an engineer in alternation and believes only what it measured."""

__all__ = ["__version__"]

__version__ = "0.1.0"
