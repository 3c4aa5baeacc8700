"""Networks that find the object of a group of frames: one specification as data, built in either framework."""

from __future__ import annotations

from ptycho.nets.bundle import Bundle, load_bundle, save_bundle
from ptycho.nets.network import Illumination, Network, build_network, illuminate
from ptycho.nets.specification import NetworkKind, Specification, TrainingLoss, specify

__all__ = [
    "Bundle",
    "Illumination",
    "Network",
    "NetworkKind",
    "Specification",
    "TrainingLoss",
    "build_network",
    "illuminate",
    "load_bundle",
    "save_bundle",
    "specify",
]
