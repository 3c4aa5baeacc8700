"""Minibatch rPIE: object and probe from diffraction, several modes, positions between pixels."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptycho.checks import check_number, check_whole
from ptycho.data.scan import Scan
from ptycho.errors import ConfigError, ShapeError
from ptycho.physics import Canvas, make_canvas
from ptycho.reconstruction import ROOM_PX, Reconstruction
from ptycho.solvers.minibatch import Estimate, Measurement, MinibatchEngine
from ptycho.solvers.positions import FEWEST_EPOCHS, FIRST_EPOCH, Walk

__all__ = ["Epoch", "RPIEOptions", "reconstruct"]

FIRST_PROBE_EPOCH = 1  # the object takes shape before the probe may move
START_PHASE_RAD = 0.1  # spread of the random start of the object
EXTRA_MODE_POWER = 0.02  # of the guess's power, for each mode the guess lacks


@dataclass(frozen=True)
class RPIEOptions:
    """How `reconstruct` works.

    Attributes
    ----------
    epochs
        Passes over the frames.
    batch_frames
        Frames whose corrections are gathered before object and probe move.
    modes
        Probe modes; those that the scan's guess lacks start as its slopes and curvatures.
    alpha
        rPIE's regularisation in (0, 1]: 1 is ePIE's step, small values are bold where the probe is weak.
    decay_from
        Fraction of the epochs after which the step falls linearly.
    last_step
        Step of the last epoch; the first has step 1.
    seed
        Of the random start and of the order of frames.
    threads
        Slabs of frames worked on at once; the result does not depend on it.
    refine_positions
        True lets every frame walk, from the fifth epoch on, to where it fits the object best.
    """

    epochs: int = 30
    batch_frames: int = 16
    modes: int = 2
    alpha: float = 0.5
    decay_from: float = 0.4
    last_step: float = 0.02
    seed: int = 0
    threads: int = 2
    refine_positions: bool = False

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_frames", 1), ("modes", 1), ("threads", 1), ("seed", 0)):
            object.__setattr__(self, name, check_whole(f"solver: {name}", getattr(self, name), least))
        for name, with_low in (("alpha", False), ("decay_from", True), ("last_step", False)):
            number = check_number(f"solver: {name}", getattr(self, name), 0, 1, with_low=with_low)
            object.__setattr__(self, name, number)
        if not isinstance(self.refine_positions, bool):
            raise ConfigError(f"solver: refine_positions: expected True or False, found {self.refine_positions!r}")
        if self.refine_positions and self.epochs < FEWEST_EPOCHS:
            raise ConfigError(
                f"solver: epochs: expected at least {FEWEST_EPOCHS} where positions are refined, found {self.epochs}; "
                "frames walk once the object has a shape"
            )

    def step(self, epoch: int) -> float:
        """Return the step of an epoch, counted from 0: 1, then falling linearly to `last_step`."""
        first = self.decay_from * (self.epochs - 1)
        if epoch <= first:
            return 1.0
        return 1.0 + (self.last_step - 1.0) * (epoch - first) / (self.epochs - 1 - first)


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch: its number from 1, the Fourier error gathered in it, time since start."""

    number: int
    total: int
    fourier_error: float
    seconds: float


def reconstruct(
    scan: Scan,
    frames: ArrayLike | None = None,
    options: RPIEOptions | None = None,
    report: Callable[[Epoch], None] | None = None,
    *,
    start: Reconstruction | None = None,
) -> Reconstruction:
    """Reconstruct object and probe from the chosen frames of a scan.

    For each minibatch B, with ψ_jm = P_jm O_j, Ψ = F ψ, and P_jm the probe moved by the sub-pixel remainder,

        ψ'_jm = Fᴴ[√k_j Ψ_jm / (Σ_m|Ψ_jm|²)^½],  χ = ψ' − ψ (0 on invalid pixels),
        O ← O + γ Σ_j,m P*_jm χ_jm / ((1−α) Σ_j,m|P_m|² + α max Σ_j,m|P_m|²),
        P_m ← P_m + γ Σ_j O*_j χ_jm / ((1−α) Σ_j|O_j|² + α max Σ_j|O_j|²),

    sums over j ∈ B placed at the frames' corners, and, for P, moved back by the remainders.

    Parameters
    ----------
    scan
        The data; intensities of any kind.
    frames
        Indices of the frames to use, each once, or a mask (n,) bool; all by default.
    options
        Settings, `RPIEOptions()` by default.
    report
        Called after every epoch.
    start
        Where to begin, object and probe, as a network infers them from the same scan: on the canvas of the whole
        scan, with as many modes as the options ask for. By default an empty object and the guess of the probe.
        Frames that walk need a wider canvas: not together with `refine_positions`.

    Returns
    -------
    Reconstruction
        On the canvas of the whole scan, whatever the chosen frames, with 16 px to spare where positions are
        refined; `probe_positions` are those it ends with. Not gauged.

    Raises
    ------
    ShapeError
        If `frames` names none, or what is not there, or frames without any light, or `start` does not fit.
    ConfigError
        If `start` and `refine_positions` come together.

    Notes
    -----
    rPIE: A. Maiden, D. Johnson, P. Li, Optica 4 (2017) 736, doi:10.1364/OPTICA.4.000736. Sums over a
    minibatch in place of single frames, and the step's decay, are this implementation's. Mixed states:
    P. Thibault, A. Menzel, Nature 494 (2013) 68, doi:10.1038/nature11806.
    """
    options = options or RPIEOptions()
    used = scan.index_frames(frames)
    began = time.perf_counter()
    part = scan.select(used)
    if start is not None and options.refine_positions:
        raise ConfigError("refine_positions: expected no start beside it, found one; refine from an empty object")
    room = ROOM_PX if options.refine_positions else 0
    canvas = make_canvas(scan.probe_positions, scan.frame_shape, margin=1 + room)
    rng = np.random.default_rng(options.seed)
    if start is None:
        estimate = Estimate(_start_object(canvas.shape, rng), _start_probe(part, options.modes))
    else:
        estimate = _begin_at(start, canvas, (options.modes, *scan.frame_shape))
    measurement = Measurement.of_scan(part, canvas)
    if not measurement.total_intensity > 0:
        raise ShapeError(f"diffraction: expected light, found only zeros in {part.diffraction.shape} on valid pixels")
    history: list[float] = []
    walk = Walk(part.probe_positions)
    with MinibatchEngine(measurement, estimate, threads=options.threads) as engine:
        for epoch in range(options.epochs):
            order = rng.permutation(used.size)
            batches = np.array_split(order, max(1, round(used.size / options.batch_frames)))
            move_probe = epoch >= FIRST_PROBE_EPOCH
            walking = options.refine_positions and FIRST_EPOCH <= epoch < options.epochs - 1
            misfit = sum(
                engine.improve(batch, options.step(epoch), options.alpha, move_probe=move_probe, find_steps=walking)
                for batch in batches
            )
            if walking:
                engine.measurement = engine.measurement.at(walk.advance(engine.steps))
            history.append(misfit / measurement.total_intensity)
            if report is not None:
                report(Epoch(epoch + 1, options.epochs, history[-1], time.perf_counter() - began))
    return Reconstruction(
        object=estimate.object,
        probe=estimate.probe,
        origin=canvas.origin,
        probe_positions=walk.positions,
        frames=used,
        coverage=engine.measurement.coverage(estimate.probe),
        history=tuple(history),
        seconds=time.perf_counter() - began,
        options={"solver": "rpie", **dataclasses.asdict(options)},
    )


def _begin_at(start: Reconstruction, canvas: Canvas, probe_shape: tuple[int, ...]) -> Estimate:
    """Return a copy of where to begin, once it fits."""
    if start.object.shape != canvas.shape or not np.array_equal(start.origin, canvas.origin):
        raise ShapeError(
            f"start: expected an object {canvas.shape} at {canvas.origin}, found {start.object.shape} at "
            f"{start.origin}; it must come from the same scan, before its gauge is fixed"
        )
    if start.probe.shape != probe_shape:
        raise ShapeError(f"start: expected a probe {probe_shape}, found {start.probe.shape}")
    return Estimate(start.object.copy(), start.probe.copy())


def _start_object(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.complex64]:
    """Return an empty object with a faint random phase, so that two seeds start apart."""
    start: NDArray[np.complex64] = np.exp(1j * START_PHASE_RAD * rng.standard_normal(shape)).astype(np.complex64)
    return start


def _start_probe(scan: Scan, modes: int) -> NDArray[np.complex64]:
    """Return `modes` modes: the guess, completed, with the power of the data.

    Missing modes are the first mode times low polynomials of the coordinates: what a small smear of the
    beam adds to it first.
    """
    guess = scan.probe[:modes].astype(np.complex128)
    h, w = scan.frame_shape
    y, x = (np.linspace(-1, 1, size) for size in (h, w))
    slopes = (y[:, None] + 0 * x, 0 * y[:, None] + x, y[:, None] * x, y[:, None] ** 2 - x**2)
    extra = []
    for index in range(modes - len(guess)):
        mode = guess[0] * slopes[index % len(slopes)] ** (1 + index // len(slopes))
        power = EXTRA_MODE_POWER * (np.abs(guess) ** 2).sum() / (np.abs(mode) ** 2).sum()
        extra.append(mode * np.sqrt(power))
    probe = np.concatenate((guess, np.array(extra).reshape(-1, h, w)))
    mean_intensity = scan.diffraction[:, scan.mask].sum(dtype=np.float64) / scan.n_frames
    probe *= np.sqrt(mean_intensity / (np.abs(probe) ** 2).sum())
    return probe.astype(np.complex64)
