"""Simulated scans with a known truth: a Siemens star in phase, an unrelated amplitude, a curved beam."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from ptycho.checks import check_number, check_whole
from ptycho.data.objects import make_shapes
from ptycho.data.scan import DataKind, Scan
from ptycho.errors import ConfigError
from ptycho.physics import make_canvas, predict_intensity

__all__ = ["Simulation", "make_probe", "make_star", "simulate"]

PHASE_RAD = -1.2  # of the spokes: thicker matter has lower phase
LOWEST_AMPLITUDE = 0.5
GRAIN_PX = 5.0  # scale of the amplitude's structure
NUMERICAL_APERTURE = 0.11  # radius of the pupil, cycles per pixel
CENTRAL_STOP = 0.35  # of the pupil's radius
BEAM_RADIUS = 0.24  # of the frame's size: how far the defocus carries the pupil's edge
SECOND_MODE = 0.04  # share of the power that partial coherence puts into a second mode
LARGEST_DOSE = 1e18  # of what can be drawn from a Poisson distribution
OBJECTS = ("star", "shapes")
GUESS_DEFOCUS = 0.9  # the initial guess of the probe is out of focus by a tenth


@dataclass(frozen=True)
class Simulation:
    """What to simulate.

    Attributes
    ----------
    rows, columns
        Of the scan's grid.
    frame_px
        Size of the square frames.
    step_px
        Distance between grid points.
    jitter
        Every position is off the grid by up to this fraction of a step, evenly, in y and in x.
    dose
        Mean photons a frame.
    spokes
        Of the star.
    seed
        Of positions, object and counts.
    object
        "star", or "shapes": see `ptycho.data.objects`.
    modes
        Of the beam, 1 or 2.
    known_probe
        Whether the scan carries the beam itself in place of a guess.
    """

    rows: int = 22
    columns: int = 23
    frame_px: int = 128
    step_px: float = 11.0
    jitter: float = 0.3
    dose: float = 4.6e5
    spokes: int = 28
    seed: int = 0
    object: str = "star"
    modes: int = 2
    known_probe: bool = False

    def __post_init__(self) -> None:
        for name, least in (("rows", 1), ("columns", 1), ("spokes", 1), ("frame_px", 16), ("seed", 0)):
            object.__setattr__(self, name, check_whole(f"simulation: {name}", getattr(self, name), least))
        if self.object not in OBJECTS or self.modes not in {1, 2}:
            raise ConfigError(
                f"simulation: expected an object out of {', '.join(OBJECTS)} and 1 or 2 modes, found {self.object!r} "
                f"and {self.modes}"
            )
        for name, high in (("step_px", sys.float_info.max), ("dose", LARGEST_DOSE), ("jitter", 0.5)):
            value = check_number(f"simulation: {name}", getattr(self, name), 0, high, with_low=name == "jitter")
            object.__setattr__(self, name, value)


def simulate(settings: Simulation) -> Scan:
    """Return a scan of whole photon counts, with its object as `object_truth`.

    k_j ~ Poisson(λ_j) with λ of `ptycho.physics.predict_intensity`, scaled so that the mean of Σλ is the dose.
    Unless the settings say that it is known, the probe of the scan is a guess, a tenth out of focus and without the
    second mode.
    """
    rng = np.random.default_rng(settings.seed)
    grid = np.indices((settings.rows, settings.columns)).reshape(2, -1).T.astype(np.float64)
    positions = settings.step_px * (grid + rng.uniform(-settings.jitter, settings.jitter, grid.shape))
    frame_shape = (settings.frame_px, settings.frame_px)
    canvas = make_canvas(positions, frame_shape)
    shapes = settings.object == "shapes"
    truth = make_shapes(canvas.shape, rng) if shapes else make_star(canvas.shape, settings.spokes, rng)
    beam = _make_beam(settings)
    expected = predict_intensity(truth, canvas.origin, beam, positions)
    scale = settings.dose * len(positions) / expected.sum()
    probe = beam if settings.known_probe else make_probe(settings.frame_px, GUESS_DEFOCUS)[None]
    return Scan(
        name=f"simulated-{settings.object}",
        diffraction=rng.poisson(scale * expected).astype(np.float32),
        probe_positions=positions,
        probe=(np.sqrt(scale) * probe).astype(np.complex64),
        mask=np.ones(frame_shape, bool),
        kind=DataKind.COUNTS,
        object_truth=truth.astype(np.complex64),
        truth_origin=canvas.origin,
        provenance={
            "source": "simulated",
            "settings": asdict(settings),
            "conventions": {"detector_origin": "centre", "position_axes": "yx", "decided_by": "simulation"},
        },
    )


def _make_beam(settings: Simulation) -> NDArray[np.complex128]:
    """Return the modes (m, h, w) of the beam, power 1 together."""
    probe = make_probe(settings.frame_px)
    if settings.modes == 1:
        return probe[None]
    slope = np.linspace(-1, 1, settings.frame_px)
    second = probe * slope * np.sqrt(SECOND_MODE / (np.abs(probe * slope) ** 2).sum())
    return np.stack((probe * np.sqrt(1 - SECOND_MODE), second))


def make_star(shape: tuple[int, int], spokes: int, rng: np.random.Generator) -> NDArray[np.complex128]:
    """Return a star of phase spokes over an unrelated grainy amplitude.

    Parameters
    ----------
    shape
        (H, W) in pixels; the star's centre lies in the middle.
    spokes
        Number of dark spokes.
    rng
        Draws the amplitude.

    Returns
    -------
    array
        (H, W) complex128: amplitude from 0.5 to 1, phase 0 or −1.2 rad with edges one pixel wide.
    """
    y, x = (np.arange(size) - (size - 1) / 2 for size in shape)
    radius = np.hypot(y[:, None], x)
    angle = np.arctan2(y[:, None], x)
    across = radius / spokes * np.sin(spokes * angle)  # distance in px to the nearest edge, near edges
    spoke = np.clip(0.5 + across, 0, 1)
    for low, high in ((0.07, 0.0), (0.78, 0.75)):  # a solid disc in the middle, and a ring, as real stars have
        inside = np.clip(low * min(shape) - radius + 0.5, 0, 1) * np.clip(radius - high * min(shape) + 0.5, 0, 1)
        spoke = np.maximum(spoke, inside)
    grain = scipy.ndimage.gaussian_filter(rng.standard_normal(shape), GRAIN_PX, mode="wrap")
    rank = np.clip(0.5 + grain / (4 * grain.std()), 0, 1)
    object_: NDArray[np.complex128] = (LOWEST_AMPLITUDE + (1 - LOWEST_AMPLITUDE) * rank) * np.exp(
        1j * PHASE_RAD * spoke
    )
    return object_


def make_probe(size: int, defocus: float = 1.0) -> NDArray[np.complex128]:
    """Return the defocused beam of a zone plate: power 1, (size, size) complex128, centred.

    P = F⁻¹[A(κ) exp(iπ d |κ|²)] with A an annular pupil with soft edges; d = defocus · 0.24 size / 0.11 carries
    the pupil's edge 0.24 of the frame away from the axis.
    """
    frequency = np.fft.fftfreq(size)
    kappa = np.hypot(frequency[:, None], frequency)
    soft = 1.0 / size
    pupil = np.clip((NUMERICAL_APERTURE - kappa) / soft + 0.5, 0, 1)
    pupil *= np.clip((kappa - CENTRAL_STOP * NUMERICAL_APERTURE) / soft + 0.5, 0, 1)
    distance = defocus * BEAM_RADIUS * size / NUMERICAL_APERTURE
    probe = np.fft.fftshift(np.fft.ifft2(pupil * np.exp(1j * np.pi * distance * kappa**2)))
    beam: NDArray[np.complex128] = probe / np.linalg.norm(probe)
    return beam
