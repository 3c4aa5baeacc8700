"""A network learns amplitude and phase of objects from diffraction alone: invariant 20, in its small version."""

from dataclasses import replace

import numpy as np
import pytest

from ptycho.data import Scan
from ptycho.data.sabotage import Sabotage, sabotage_scan
from ptycho.data.simulation import Simulation, simulate
from ptycho.data.validation import split_strip
from ptycho.inference import infer
from ptycho.metrics.gauge import fix_gauge
from ptycho.metrics.measure import compare_with_truth
from ptycho.nets import Bundle
from ptycho.nets.layers import start_weights
from ptycho.train import TrainOptions
from ptycho.train.scan import Recipe, train_scan

EPOCHS = 8


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulate(
        Simulation(
            rows=12,
            columns=22,
            frame_px=40,
            step_px=5.0,
            dose=1e9,
            object="shapes",
            modes=1,
            known_probe=True,
            seed=3,
        )
    )


@pytest.fixture(scope="module")
def trained(scan: Scan) -> Bundle:
    seen, _ = split_strip(scan.probe_positions, 0.25)
    return train_scan(scan, seen, Recipe(), TrainOptions(epochs=EPOCHS))[0]


def score(scan: Scan, bundle: Bundle) -> tuple[float, float]:
    """Return the correlations of amplitude and phase on the quarter of the scan that no training saw."""
    _, held_out = split_strip(scan.probe_positions, 0.25)
    found = infer(bundle, scan, held_out)
    gauged = fix_gauge(found.object, found.probe, found.origin, found.probe_positions)
    compared = compare_with_truth(scan, gauged)
    assert compared is not None
    return compared.amplitude_correlation, compared.phase_correlation


@pytest.mark.slow
def test_a_network_finds_an_object_it_has_not_seen_from_diffraction_alone(scan: Scan, trained: Bundle) -> None:
    amplitude, phase = score(scan, trained)
    assert amplitude >= 0.9  # a constant object has 0
    assert phase >= 0.9

    untrained = replace(trained, weights=start_weights(trained.specification))
    assert (np.array(score(scan, untrained)) < (amplitude, phase)).all()

    single = replace(trained.specification, stages=1, projections=1)
    back_projected = score(scan, Bundle(single, trained.illumination, start_weights(single)))
    assert (np.array(back_projected) + 0.03 < (amplitude, phase)).all()


@pytest.mark.slow
def test_a_network_told_wrong_positions_finds_nothing(scan: Scan, trained: Bundle) -> None:
    assert max(np.abs(score(sabotage_scan(scan, Sabotage.SHUFFLED), trained))) < 0.5
