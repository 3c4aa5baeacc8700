"""Data sets: the scan record, its readers, fetching, simulation and splits."""

from ptycho.data.scan import DataKind, Scan
from ptycho.data.scan_file import load_scan, save_scan
from ptycho.data.split import FrameSet, find_held_out, select_frames

__all__ = ["DataKind", "FrameSet", "Scan", "find_held_out", "load_scan", "save_scan", "select_frames"]
