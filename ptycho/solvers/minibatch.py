"""One minibatch step of object and probe: the inner loop of the solvers, on slabs that fit the cache."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ptycho.data.scan import Scan
from ptycho.physics import Canvas, split_positions
from ptycho.physics.shift import axis_ramps
from ptycho.solvers.positions import find_slopes, find_step

__all__ = ["Estimate", "Measurement", "MinibatchEngine"]

SLAB_FRAMES = 8  # per thread: at 128² its three complex buffers are 3 MB
LANES = 2  # a batch is always cut in two, so that sums do not depend on the number of threads
TINY_AMPLITUDE = 1e-9  # keeps 0/0 at 0 where neither model nor data have light

Complex = NDArray[np.complex64]
Real = NDArray[np.float32]
View = tuple[slice, slice]


@dataclass(eq=False)
class Estimate:
    """What the solver changes in place: `object` (H, W) and `probe` (m, h, w), complex64."""

    object: Complex
    probe: Complex


@dataclass(frozen=True, eq=False)
class Measurement:
    """What the solver reads: amplitudes with DC at the corner, and where each frame lies.

    Attributes
    ----------
    amplitude
        (n, h, w) float32, √intensity with DC at [0, 0]; 0 on invalid pixels.
    valid
        (h, w) float32 of 0 and 1, DC at [0, 0], or None when every pixel is valid.
    views
        n pairs of slices: the patch of each frame on the canvas.
    ramps
        (n, h) and (n, w) complex64: the shift of the probe by the sub-pixel remainder, axis by axis.
    canvas
        Where the object lies.
    total_intensity
        Sum of the squared amplitudes.
    """

    amplitude: Real
    valid: Real | None
    views: tuple[View, ...]
    ramps: tuple[Complex, Complex]
    canvas: Canvas
    total_intensity: float

    @classmethod
    def of_scan(cls, scan: Scan, canvas: Canvas) -> Measurement:
        """Prepare the frames of a scan for the inner loop."""
        amplitude = np.sqrt(scan.diffraction * scan.mask)
        amplitude = scipy.fft.ifftshift(amplitude, axes=(1, 2))
        valid = None if scan.mask.all() else scipy.fft.ifftshift(scan.mask).astype(np.float32)
        total = float(np.sum(scan.diffraction * scan.mask, dtype=np.float64))
        views, ramps = _place(scan.probe_positions, canvas, scan.frame_shape)
        return cls(amplitude, valid, views, ramps, canvas, total)

    def at(self, positions: NDArray[np.float64]) -> Measurement:
        """Return the same frames at other positions (n, 2) on the same canvas."""
        views, ramps = _place(positions, self.canvas, (self.amplitude.shape[1], self.amplitude.shape[2]))
        return replace(self, views=views, ramps=ramps)

    def coverage(self, probe: Complex) -> Real:
        """Return Σ_j Σ_m |P_m|² on the canvas, (H, W) float32, each frame at its whole-pixel corner."""
        total = np.zeros(self.canvas.shape, np.float32)
        power = _power(probe).sum(axis=0)
        for view in self.views:
            total[view] += power
        return total


def _place(
    positions: NDArray[np.float64], canvas: Canvas, frame_shape: tuple[int, int]
) -> tuple[tuple[View, ...], tuple[Complex, Complex]]:
    """Return `views` and `ramps` of a `Measurement`."""
    h, w = frame_shape
    corners, remainders = split_positions(positions, canvas.origin, frame_shape)
    ramp_y, ramp_x = (ramp.astype(np.complex64) for ramp in axis_ramps(remainders, frame_shape))
    return tuple((slice(y, y + h), slice(x, x + w)) for y, x in corners.tolist()), (ramp_y, ramp_x)


class _Lane:
    """Buffers and sums of one half of a batch, used by one thread at a time."""

    def __init__(self, canvas_shape: tuple[int, int], probe_shape: tuple[int, int, int]) -> None:
        m, h, w = probe_shape
        self.probes = np.empty((SLAB_FRAMES, m, h, w), np.complex64)
        self.waves = np.empty((SLAB_FRAMES, m, h, w), np.complex64)
        self.ramps = np.empty((SLAB_FRAMES, 1, h, w), np.complex64)
        self.amplitudes = np.empty((SLAB_FRAMES, m, h, w), np.float32)
        self.object_sum = np.empty(canvas_shape, np.complex64)
        self.object_weight = np.empty(canvas_shape, np.float32)
        self.probe_sum = np.empty((m, h, w), np.complex64)  # spectrum
        self.probe_weight = np.empty((h, w), np.float32)
        self.misfit = 0.0

    def clear(self) -> None:
        """Set all sums to zero."""
        for array in (self.object_sum, self.object_weight, self.probe_sum, self.probe_weight):
            array.fill(0)
        self.misfit = 0.0

    def add(self, other: _Lane) -> None:
        """Add the sums of another lane."""
        self.object_sum += other.object_sum
        self.object_weight += other.object_weight
        self.probe_sum += other.probe_sum
        self.probe_weight += other.probe_weight
        self.misfit += other.misfit


@dataclass(frozen=True, eq=False)
class _Snapshot:
    """Object and probe as all frames of a batch see them, in the forms the inner loop needs."""

    object: Complex
    object_conjugate: Complex
    object_power: Real
    probe_spectrum: Complex
    probe_power: Real
    object_slopes: Complex | None
    light: Real


class MinibatchEngine:
    """Improves an `Estimate` in place, minibatch by minibatch; a context manager that owns its threads.

    Attributes
    ----------
    measurement
        The frames and where they lie; may be exchanged between batches for the same frames elsewhere.
    steps
        (n, 2) float64, how far each frame wants to move (`find_step`), as of its last batch that asked for it; 0
        where it holds no light.
    """

    def __init__(self, measurement: Measurement, estimate: Estimate, *, threads: int = 2) -> None:
        self.measurement = measurement
        self.steps = np.zeros((len(measurement.views), 2))
        self._estimate = estimate
        m, h, w = estimate.probe.shape
        self._light = np.zeros(measurement.canvas.shape, np.float32)  # that each pixel received, all batches together
        self._lanes = tuple(_Lane(measurement.canvas.shape, (m, h, w)) for _ in range(LANES))
        self._pool = ThreadPoolExecutor(min(threads, LANES), thread_name_prefix="minibatch")

    def __enter__(self) -> MinibatchEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def improve(
        self, batch: NDArray[np.int64], step: float, alpha: float, *, move_probe: bool, find_steps: bool = False
    ) -> float:
        """Move object and probe by the corrections of one batch of frames.

        Parameters
        ----------
        batch
            Indices of frames in the measurement.
        step, alpha
            γ and α of `ptycho.solvers.rpie.reconstruct`.
        move_probe
            False leaves the probe as it is.
        find_steps
            True finds the `steps` of these frames.

        Returns
        -------
        float
            Σ(√k − √λ)² of the batch before the step.
        """
        estimate = self._estimate
        seen = _Snapshot(
            estimate.object,
            estimate.object.conj(),
            _power(estimate.object),
            scipy.fft.fft2(estimate.probe),
            _power(estimate.probe).sum(axis=0),
            find_slopes(estimate.object) if find_steps else None,
            self._light,
        )
        tasks = zip(self._lanes, np.array_split(batch, LANES), strict=True)
        jobs = [self._pool.submit(self._gather, lane, seen, half, move_probe) for lane, half in tasks]
        for job in jobs:
            job.result()
        total, *others = self._lanes
        for other in others:
            total.add(other)
        self._light += total.object_weight
        total.object_sum *= _gain(total.object_weight, alpha, step)
        estimate.object += total.object_sum
        if move_probe:
            estimate.probe += scipy.fft.ifft2(total.probe_sum) * _gain(total.probe_weight, alpha, step)
        return total.misfit

    def _gather(self, lane: _Lane, seen: _Snapshot, frames: NDArray[np.int64], move_probe: bool) -> None:
        """Sum the corrections of some frames of the batch in a lane."""
        lane.clear()
        for start in range(0, len(frames), SLAB_FRAMES):
            slab = frames[start : start + SLAB_FRAMES]
            views = [self.measurement.views[frame] for frame in slab]
            ramp_y, ramp_x = (ramp[slab] for ramp in self.measurement.ramps)
            ramps = np.multiply(ramp_y[:, None, :, None], ramp_x[:, None, None, :], out=lane.ramps[: len(slab)])

            probes = np.multiply(seen.probe_spectrum, ramps, out=lane.probes[: len(slab)])
            probes = scipy.fft.ifft2(probes, overwrite_x=True)
            waves = lane.waves[: len(slab)]
            for wave, probe, view in zip(waves, probes, views, strict=True):
                np.multiply(probe, seen.object[view], out=wave)

            waves = self._correct(lane, waves, slab)

            np.conjugate(probes, out=probes)
            probes *= waves
            for frame, corrections, view in zip(slab, probes, views, strict=True):
                if seen.object_slopes is not None and self.measurement.amplitude[frame].any():
                    slopes, light = seen.object_slopes[:, *view], seen.light[view]
                    self.steps[frame] = find_step(corrections.sum(axis=0), seen.probe_power, slopes, light)
                _add_at(lane.object_weight, view, seen.probe_power)
                for correction in corrections:
                    _add_at(lane.object_sum, view, correction)
            if move_probe:
                for wave, view in zip(waves, views, strict=True):
                    np.multiply(wave, seen.object_conjugate[view], out=wave)
                    lane.probe_weight += seen.object_power[view]
                spectra = scipy.fft.fft2(waves, overwrite_x=True)
                spectra *= np.conjugate(ramps, out=ramps)
                lane.probe_sum += spectra.sum(axis=0)

    def _correct(self, lane: _Lane, waves: Complex, slab: NDArray[np.int64]) -> Complex:
        """Replace exit waves ψ by their corrections χ = Fᴴ[(√k/√λ − 1) F ψ]; add to the lane's misfit."""
        fields = scipy.fft.fft2(waves, norm="ortho", overwrite_x=True)
        each = np.abs(fields, out=lane.amplitudes[: len(slab)])
        model = each[:, 0] if each.shape[1] == 1 else np.sqrt(np.square(each, out=each).sum(axis=1))
        if self.measurement.valid is not None:
            model *= self.measurement.valid  # measured is 0 there as well: no misfit, and no correction below
        difference = self.measurement.amplitude[slab]
        difference -= model
        flat = difference.ravel()
        lane.misfit += float(np.dot(flat, flat))
        model += TINY_AMPLITUDE
        difference /= model
        fields *= difference[:, None]
        corrections: Complex = scipy.fft.ifft2(fields, norm="ortho", overwrite_x=True)
        return corrections


def _add_at(canvas: NDArray[np.generic], view: View, patch: NDArray[np.generic]) -> None:
    """Add a patch to a view; ``canvas[view] += patch`` would copy the sum onto itself once more."""
    target = canvas[view]
    np.add(target, patch, out=target)


def _power(field: Complex) -> Real:
    """Return |field|² without the square root that `abs` takes."""
    power: Real = field.real**2 + field.imag**2
    return power


def _gain(weight: Real, alpha: float, step: float) -> Real:
    """Return the step over rPIE's denominator: γ / ((1−α) w + α max w)."""
    denominator: Real = (1 - alpha) * weight
    denominator += alpha * weight.max()
    return np.divide(step, denominator, out=denominator)
