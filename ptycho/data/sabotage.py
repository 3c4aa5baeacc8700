"""Scans made wrong on purpose, so that one can see the scores refuse them."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import numpy as np

from ptycho.checks import parse_choice
from ptycho.data.scan import Scan

__all__ = ["Sabotage", "sabotage_scan"]

SEED = 5  # the same wrong scan every time: for both halves, and for whoever scores them
KEPT_PHOTONS = 1e-4


class Sabotage(StrEnum):
    """What to make wrong."""

    NONE = "none"
    SHUFFLED = "shuffled"  # positions dealt out to the wrong frames
    TRANSPOSED = "transposed"  # y and x of the positions exchanged
    NOISE = "noise"  # one photon in 10 000 kept: the solver has little but shot noise to fit


def sabotage_scan(scan: Scan, sabotage: Sabotage | str) -> Scan:
    """Return the scan made wrong; its name and provenance say so. `Sabotage.NONE` returns it as it is."""
    sabotage = parse_choice("sabotage", sabotage, Sabotage)
    if sabotage is Sabotage.NONE:
        return scan
    rng = np.random.default_rng(SEED)
    wrong = replace(
        scan,
        name=f"{scan.name} ({sabotage.value})",
        provenance={**scan.provenance, "sabotage": sabotage.value},
    )
    if sabotage is Sabotage.SHUFFLED:
        return replace(wrong, probe_positions=scan.probe_positions[rng.permutation(scan.n_frames)])
    if sabotage is Sabotage.TRANSPOSED:
        return replace(wrong, probe_positions=np.ascontiguousarray(scan.probe_positions[:, ::-1]))
    kept = rng.binomial(np.round(scan.diffraction).astype(np.int64), KEPT_PHOTONS)
    return replace(wrong, diffraction=kept.astype(np.float32))
