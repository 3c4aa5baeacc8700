"""Simulated scans have the dose that was asked for, and a truth that explains them."""

from dataclasses import replace

import numpy as np
import pytest

from ptycho.data.simulation import Simulation, make_probe, make_star, simulate
from ptycho.errors import ConfigError

SETTINGS = Simulation(rows=5, columns=6, frame_px=32, step_px=3.0, dose=2e4, spokes=8, seed=1)


def test_the_measured_dose_is_the_one_asked_for() -> None:
    scan = simulate(SETTINGS)
    assert scan.photons_per_frame is not None
    assert abs(scan.photons_per_frame - 2e4) < 3 * np.sqrt(2e4 / scan.n_frames)
    assert (scan.diffraction == np.round(scan.diffraction)).all()
    assert scan.provenance["settings"]["dose"] == 2e4  # type: ignore[index]


@pytest.mark.parametrize("dose", [30.0, 4e3, 1e6])
def test_twice_the_dose_gives_twice_the_counts(dose: float) -> None:
    once, twice = (simulate(replace(SETTINGS, dose=factor * dose)).photons_per_frame for factor in (1, 2))
    assert once is not None
    assert twice is not None
    error = np.sqrt((2 + 4) * dose / 30)  # of twice − 2 · once, over 30 frames
    assert abs(twice - 2 * once) < 5 * error
    if dose > 1e3:
        assert abs(twice - np.sqrt(2) * once) > 20 * error


def test_one_seed_repeats_and_two_differ() -> None:
    first, same = simulate(SETTINGS), simulate(SETTINGS)
    np.testing.assert_array_equal(first.diffraction, same.diffraction)
    other = simulate(Simulation(rows=5, columns=6, frame_px=32, step_px=3.0, dose=2e4, spokes=8, seed=2))
    assert (first.probe_positions != other.probe_positions).any()


def test_positions_are_no_lattice_and_lie_between_pixels() -> None:
    positions = simulate(SETTINGS).probe_positions
    steps = np.diff(positions.reshape(5, 6, 2), axis=1)[..., 1]
    assert steps.std() > 0.3
    assert np.abs(positions - np.round(positions)).mean() > 0.15


def test_amplitude_and_phase_of_the_star_are_unrelated() -> None:
    star = make_star((300, 320), 28, np.random.default_rng(2))
    amplitude, phase = np.abs(star), np.angle(star)
    assert (amplitude.min(), amplitude.max()) == pytest.approx((0.5, 1.0), abs=0.05)
    assert np.ptp(phase) >= 1
    assert phase.min() < 0 == phase.max()  # thicker matter has lower phase
    assert abs(np.corrcoef(amplitude.ravel(), phase.ravel())[0, 1]) < 0.1


def test_the_beam_is_centred_curved_and_has_power_one() -> None:
    probe = make_probe(64)
    assert np.sum(np.abs(probe) ** 2) == pytest.approx(1)
    y, x = np.indices(probe.shape)
    power = np.abs(probe) ** 2
    assert (np.sum(y * power), np.sum(x * power)) == pytest.approx((32, 32), abs=0.1)
    outer = power[np.hypot(y - 32, x - 32) > 8].sum()
    assert outer > 0.5  # far out of focus: most of the light has left the axis


def test_impossible_settings_are_named() -> None:
    for wrong in (0, "3", True, np.inf):
        with pytest.raises(ConfigError, match=r"simulation: step_px: expected a number in \(0, 1.79769e\+308\], found"):
            Simulation(step_px=wrong)
    with pytest.raises(ConfigError, match=r"dose: expected a number in \(0, 1e\+18\], found 1e\+30"):
        Simulation(dose=1e30)
    with pytest.raises(ConfigError, match=r"jitter: expected a number in \[0, 0.5\], found 0.6"):
        Simulation(jitter=0.6)
    assert Simulation(jitter=0).jitter == 0
    with pytest.raises(ConfigError, match="seed: expected a whole number >= 0, found -1"):
        Simulation(seed=-1)
