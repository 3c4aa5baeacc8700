"""Inference: the objects of all groups of a scan, predicted in chunks, brought to one phase, and joined."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptycho.checks import check_whole
from ptycho.data.examples import Examples, make_examples
from ptycho.data.groups import cover_frames, group_chosen
from ptycho.data.normalisation import FLUX_LIMIT
from ptycho.data.rows import pick_rows
from ptycho.data.scan import Scan
from ptycho.errors import DataError, ShapeError
from ptycho.metrics.gauge import illumination
from ptycho.nets.bundle import Bundle
from ptycho.nets.network import Network, build_network
from ptycho.physics import Canvas, make_canvas
from ptycho.physics.groups import divide_on_support
from ptycho.physics.propagation import sum_modes
from ptycho.reconstruction import Reconstruction
from ptycho.stitching import Stitched

__all__ = ["InferenceProgress", "infer", "join_groups", "predict_chunks"]

ALIGNMENT_PASSES = 3  # each object of a group turns to the phase of the joined one

Report = Callable[["InferenceProgress"], None]


@dataclass(frozen=True)
class InferenceProgress:
    """How many groups are predicted, of how many, and seconds since the start."""

    done: int
    total: int
    seconds: float


def infer(
    bundle: Bundle,
    scan: Scan,
    frames: ArrayLike | None = None,
    *,
    framework: str = "torch",
    device: str = "auto",
    chunk: int = 32,
    sparse: bool = False,
    report: Report | None = None,
) -> Reconstruction:
    """Return object and probe of a scan, found by a trained network without any iteration.

    The probe is the one that the network was trained under.

    Parameters
    ----------
    bundle
        The trained network.
    scan
        Frames of the shape it was trained on; they stay where they lie, in memory or mapped.
    frames
        Which to use, as indices or as a mask; all by default.
    framework, device
        See `ptycho.nets.build_network`; the result is the same to 1e-4.
    chunk
        Groups predicted at a time; memory grows with it, the result does not depend on it but for rounding.
        Predictions wait in a temporary file.
    sparse
        Predict only so many groups that every frame is in one, not one group around every frame: less than half the
        time where gridsize is 2, and less averaging.
    report
        Called after every chunk.

    Returns
    -------
    Reconstruction
        On the canvas of the whole scan, 1 where no light fell. `options["warnings"]` says what may be wrong: a
        flux that differs from the training's by more than a factor of 2.

    Raises
    ------
    ConfigError
        If there is no such framework or device, or the chunk is smaller than one group.
    DependencyError
        If the framework is not installed.
    ShapeError
        If the frames are of another shape than the network's, `frames` names others than the scan's, or the masks of
        scan and network share no pixel.
    DataError
        If there are fewer frames than a group needs, no light in them, or no room for the temporary file.
    """
    began = time.perf_counter()
    specification = bundle.specification
    if scan.frame_shape != specification.frame_shape:
        raise ShapeError(
            f"{scan.name}: expected frames {specification.frame_shape}, which the network was trained on, found "
            f"{scan.frame_shape}"
        )
    light = bundle.illumination.restrict(scan.mask)
    used = scan.index_frames(frames)
    positions = scan.probe_positions[used]
    groups = group_chosen(scan.probe_positions, used, specification.group_size)
    groups = cover_frames(groups) if sparse else groups
    examples = make_examples(scan, groups, light.normalisation)
    flux = light.normalisation.flux_ratio(pick_rows(scan.diffraction, used), light.mask)
    network = build_network(
        specification.holding(examples.offsets), light, bundle.weights, framework=framework, device=device
    )
    stitched = join_groups(
        network, examples, make_canvas(scan.probe_positions, scan.frame_shape), chunk=chunk, report=report
    )
    probe = (light.probe / light.normalisation.scale).astype(np.complex64)
    origin, shape = stitched.canvas.origin, stitched.canvas.shape
    coverage = illumination(probe, positions, origin, shape).astype(np.float32)
    warnings = []
    if not 1 / FLUX_LIMIT <= flux <= FLUX_LIMIT:
        warnings.append(f"the frames are {flux:.3g} times as bright as those the network was trained on")
    return Reconstruction(
        object=np.where(stitched.support, stitched.object, 1).astype(np.complex64),
        probe=probe,
        origin=origin,
        probe_positions=positions,
        frames=used,
        coverage=coverage,
        seconds=time.perf_counter() - began,
        options={
            "solver": "network",
            "kind": specification.kind.value,
            "gridsize": specification.gridsize,
            "framework": framework,
            "groups": len(groups),
            "flux_ratio": flux,
            "warnings": warnings,
        },
    )


def predict_chunks(
    network: Network, examples: Examples, *, chunk: int = 32, report: Report | None = None
) -> Iterator[tuple[slice, NDArray[np.complexfloating]]]:
    """Yield which groups, and their objects (b, H, W, 1), chunk by chunk.

    Raises
    ------
    ConfigError
        If the chunk is smaller than one group.
    """
    chunk = check_whole("chunk", chunk)
    began = time.perf_counter()
    for start in range(0, len(examples), chunk):
        part = slice(start, min(start + chunk, len(examples)))
        batch = examples.read(np.arange(part.start, part.stop))
        yield part, network.predict(batch.amplitudes, batch.offsets)
        if report is not None:
            report(InferenceProgress(part.stop, len(examples), time.perf_counter() - began))


def join_groups(
    network: Network,
    examples: Examples,
    canvas: Canvas | None = None,
    *,
    chunk: int = 32,
    report: Report | None = None,
) -> Stitched:
    """Predict the objects of all groups and join them: O = Σ_g T_gᴴ(W_g z_g O_g) / Σ_g T_gᴴ W_g.

    W_g is the light that the group's frames throw on its object, z_g a phase that diffraction leaves free: each
    group takes the one in which it agrees best with the object joined so far, in `ALIGNMENT_PASSES` passes over
    predictions that wait in a temporary file. Nothing is interpolated, all objects lie on one grid of pixels.

    Parameters
    ----------
    network
        Whose specification holds the offsets of the examples.
    examples
        Their reference points have no fraction; see `Examples`.
    canvas
        Where the object lies, its origin without fraction, as a rule `make_canvas` of the scan's positions, by
        default that of the examples'; what a group predicts outside is left out.
    chunk, report
        See `infer`.

    Raises
    ------
    ConfigError
        If the chunk is smaller than one group.
    ShapeError
        If a frame leaves the canvas of its group, or the origin of the canvas has a fraction.
    DataError
        If there is no room for the temporary file.
    """
    shape, frame_shape = network.specification.canvas_shape, network.specification.frame_shape
    canvas = canvas or make_canvas(examples.positions.reshape(-1, 2), frame_shape)
    if not all(float(start).is_integer() for start in canvas.origin):
        raise ShapeError(
            f"canvas: expected an origin of whole pixels, found {canvas.origin}; nothing is interpolated: round it"
        )
    views = _Views(canvas, shape, examples, sum_modes(network.illumination.probe))
    chunks = predict_chunks(network, examples, chunk=chunk, report=report)
    with tempfile.TemporaryDirectory(prefix="ptycho-") as folder:
        objects = _keep(Path(folder) / "objects", (views.weigh(part, found[..., 0]) for part, found in chunks))
        phases, light = views.chain(objects), views.light
        for _ in range(ALIGNMENT_PASSES):
            joined, _ = divide_on_support(views.join(objects, phases), light)
            phases = views.align(objects, joined)
        merged, support = divide_on_support(views.join(objects, phases), light)
        del objects  # the file is unmapped before it goes
    return Stitched(merged, support, canvas)


def _keep(path: Path, chunks: Iterator[NDArray[np.complexfloating]]) -> NDArray[np.complexfloating]:
    """Write objects (b, H, W) to a file chunk by chunk and map it, (B, H, W)."""
    count = 0
    with path.open("wb", buffering=0) as file:  # where the disk is full, writing to a mapped file ends the process
        for found in chunks:
            count, dtype, shape = count + len(found), found.dtype, found.shape[1:]
            left = np.ascontiguousarray(found).reshape(-1).view(np.uint8).data
            try:
                while left:
                    left = left[file.write(left) :]
            except OSError as error:
                raise DataError(
                    f"{path}: expected room for the objects of all groups, {found[0].nbytes} bytes each: "
                    f"{error.strerror}; name a larger folder in TMPDIR, or predict fewer groups"
                ) from error
    return np.memmap(path, dtype, "r", shape=(count, *shape))


class _Views:
    """Where the objects of groups lie on the canvas of all, and how much light each of their pixels gets.

    Attributes
    ----------
    light
        (H, W) float64, Σ_g T_gᴴ W_g of the groups weighed so far.
    """

    def __init__(self, canvas: Canvas, shape: tuple[int, int], examples: Examples, power: NDArray[np.floating]) -> None:
        self._canvas = canvas
        self._corners = (examples.references - canvas.origin).astype(np.int64) - np.array(shape) // 2
        inner = np.array(shape) // 2 - np.array(power.shape) // 2
        self._places = np.floor(examples.offsets + 0.5).astype(np.int64) + inner
        self._shape, self._power = shape, power
        self.light = np.zeros(canvas.shape)

    def weigh(self, part: slice, objects: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
        """Return W_g O_g of some groups, (b, H, W) as the objects, and add up their light."""
        weighed = np.empty_like(objects)
        for into, group, found in zip(weighed, range(part.start, part.stop), objects, strict=True):
            light = np.zeros(self._shape)
            h, w = self._power.shape
            for y, x in self._places[group]:
                light[y : y + h, x : x + w] += self._power
            there, here = self._overlap(group)
            self.light[there] += light[here]
            into[:] = light * found
        return weighed

    def join(self, objects: NDArray[np.complexfloating], phases: NDArray[np.complexfloating]) -> NDArray[np.complex128]:
        """Return Σ_g T_gᴴ(W_g z_g O_g) (H, W) of weighed objects."""
        total = np.zeros(self._canvas.shape, np.complex128)
        for group, phase in enumerate(phases):
            there, here = self._overlap(group)
            total[there] += phase * objects[group][here]
        return total

    def chain(self, objects: NDArray[np.complexfloating]) -> NDArray[np.complex128]:
        """Return phases z_g (B,) in which each weighed object agrees with the sum of those before it."""
        total = np.zeros(self._canvas.shape, np.complex128)
        phases = np.ones(len(objects), np.complex128)
        for group, found in enumerate(objects):
            there, here = self._overlap(group)
            phases[group] = _unit(np.vdot(found[here], total[there]))
            total[there] += phases[group] * found[here]
        return phases

    def align(self, objects: NDArray[np.complexfloating], joined: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Return the phases z_g (B,) in which weighed objects agree best with the joined one."""
        places = map(self._overlap, range(len(objects)))
        pairs = zip(objects, places, strict=True)
        return np.array([_unit(np.vdot(found[here], joined[there])) for found, (there, here) in pairs])

    def _overlap(self, group: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Return the part of the canvas that a group covers, and the part of the group that lies on the canvas."""
        corner = self._corners[group]
        first = np.maximum(corner, 0)
        last = np.maximum(np.minimum(corner + self._shape, self._canvas.shape), first)
        there, here = (
            tuple(slice(low, high) for low, high in zip(start, stop, strict=True))
            for start, stop in ((first, last), (first - corner, last - corner))
        )
        return there, here


def _unit(number: complex) -> complex:
    """Return number / |number|, and 1 for 0."""
    return number / abs(number) if abs(number) > 0 else 1.0
