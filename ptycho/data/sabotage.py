"""Scans spoilt on purpose: what a score calls good must not be found in them."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import numpy as np

from ptycho.data.scan import Scan

__all__ = ["Sabotage", "spoil"]

SEED = 20_260_102


class Sabotage(StrEnum):
    """What is done to a scan before it is used."""

    NONE = "none"
    SHUFFLE = "shuffle"  # every frame gets the position of another one
    TRANSPOSE = "transpose"  # y and x of the positions are swapped
    NOISE = "noise"  # frames of speckle around the mean pattern: no object is in them
    FLAT = "flat"  # photon noise around the mean pattern: an empty object explains it perfectly


def spoil(scan: Scan, how: Sabotage) -> Scan:
    """Return the scan with its positions or frames spoilt; always in the same way.

    Dose, probe, mask and number of frames stay. What is known of the object is dropped: it is no longer true.

    Parameters
    ----------
    scan
        An honest scan.
    how
        `Sabotage.NONE` returns it as it is.
    """
    if how is Sabotage.NONE:
        return scan
    rng = np.random.default_rng(SEED)
    spoilt = replace(
        scan,
        object_truth=None,
        truth_origin=None,
        provenance={**scan.provenance, "sabotage": how.value},
    )
    if how is Sabotage.SHUFFLE:
        return replace(spoilt, probe_positions=scan.probe_positions[rng.permutation(scan.n_frames)])
    if how is Sabotage.TRANSPOSE:
        return replace(spoilt, probe_positions=np.ascontiguousarray(scan.probe_positions[:, ::-1]))
    frames = np.empty_like(scan.diffraction)
    mean = scan.diffraction.mean(axis=0, dtype=np.float64)
    for frame in frames:
        grains = rng.exponential(size=mean.shape) if how is Sabotage.NOISE else 1.0
        frame[...] = rng.poisson(mean * grains)
    return replace(spoilt, diffraction=frames)
