"""Data sets: the scan record, its readers, fetching, simulation and splits."""

from ptycho.data.scan import DataKind, Scan

__all__ = ["DataKind", "Scan"]
