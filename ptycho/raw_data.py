"""The published name of the data set record."""

from ptycho.compat.raw_data import RawData

__all__ = ["RawData"]
