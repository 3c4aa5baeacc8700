"""Both frameworks against the document: the network written once more from its description, in plain numpy loops."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erf

from ptycho.data.normalisation import Normalisation
from ptycho.nets import Illumination, Specification, build_network, illuminate, specify
from ptycho.nets.layers import Weights, start_weights

DAMPING, DARK = 0.02, 3e-4  # δ of the brightest light, and ε: `ptycho.physics.consistency.Projection`

Complex = NDArray[np.complex128]


def transform(size: int) -> Complex:
    """Return the unitary DFT of a line, origin of both sides at size // 2."""
    k = np.arange(size) - size // 2
    return np.exp(-2j * np.pi * np.outer(k, k) / size) / np.sqrt(size)


def move(probe: Complex, dy: float, dx: float) -> Complex:
    """Return P(s − f) by a phase ramp on the spectrum; the Nyquist line of an even axis counts as negative."""
    h, w = probe.shape
    ramps = [np.exp(-2j * np.pi * f * (np.arange(n) - n // 2) / n) for f, n in ((dy, h), (dx, w))]
    spectrum = transform(h) @ probe @ transform(w).T * np.outer(*ramps)
    return transform(h).conj().T @ spectrum @ transform(w).conj()


def convolve(x: NDArray[np.float64], weights: Weights, name: str, *, stride: int = 1) -> NDArray[np.float64]:
    """Return Σ x(y + i, x + j, c) K(i, j, c, o) + b(o), zeros beyond the edges; a stride takes blocks as they are."""
    kernel, bias = (weights[f"{name}.{part}"].astype(np.float64) for part in ("kernel", "bias"))
    size = len(kernel)
    margin = size // 2 if stride == 1 else 0
    padded = np.pad(x, ((margin, margin), (margin, margin), (0, 0)))
    out = np.zeros((x.shape[0] // stride, x.shape[1] // stride, len(bias)))
    for row, column in np.ndindex(out.shape[:2]):
        y, z = row * stride, column * stride
        out[row, column] = np.tensordot(padded[y : y + size, z : z + size], kernel, 3) + bias
    return out


def gelu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x * (1 + erf(x / np.sqrt(2))) / 2


def correct(features: NDArray[np.float64], weights: Weights, stage: int) -> Complex:
    """Return the correction (H, W) of features (H, W, 5)."""
    height, width, _ = features.shape
    blocks = np.zeros((height // 2, width // 2, 20))
    for i, j, f in itertools.product(range(2), range(2), range(5)):
        blocks[:, :, 10 * i + 5 * j + f] = features[i::2, j::2, f]
    x = gelu(convolve(blocks, weights, f"{stage}.first"))
    x = x + gelu(convolve(x, weights, f"{stage}.fine"))
    y = gelu(convolve(x, weights, f"{stage}.down", stride=2))
    y = y + gelu(convolve(y, weights, f"{stage}.coarse"))
    doubled = convolve(y, weights, f"{stage}.up").repeat(2, axis=0).repeat(2, axis=1)
    x = gelu(convolve(np.concatenate((doubled, x), axis=2), weights, f"{stage}.join"))
    last, found = convolve(x, weights, f"{stage}.last"), np.zeros((height, width), complex)
    for i, j in itertools.product(range(2), range(2)):
        found[i::2, j::2] = last[:, :, 4 * i + 2 * j] + 1j * last[:, :, 4 * i + 2 * j + 1]
    return found


def project(
    obj: Complex, measured: NDArray[np.float64], waves: list[Complex], corners: list[tuple[int, int]], mask: NDArray
) -> tuple[Complex, NDArray[np.float64]]:
    """Return the object after one step towards the measured amplitudes (C, h, w), and its light."""
    h, w = mask.shape
    rows, columns = transform(h), transform(w)
    total, light = np.zeros_like(obj), np.zeros(obj.shape)
    for frame, probe, (y, x) in zip(measured, waves, corners, strict=True):
        exits = [mode * obj[y : y + h, x : x + w] for mode in probe]
        fields = [rows @ wave @ columns.T for wave in exits]
        power = sum(np.abs(field) ** 2 for field in fields)
        factor = np.where(mask, frame * power / (power + DARK) ** 1.5, 1)
        for mode, wave, field in zip(probe, exits, fields, strict=True):
            back = rows.conj().T @ (field * factor) @ columns.conj()
            total[y : y + h, x : x + w] += mode.conj() * (back - wave)
            light[y : y + h, x : x + w] += np.abs(mode) ** 2
    return obj + total / (light + DAMPING * light.max()), light / light.max()


def predict(
    spec: Specification, light: Illumination, weights: Weights, amplitudes: NDArray, offsets: NDArray
) -> Complex:
    """Return the object (H, W) of one group: amplitudes (h, w, C), offsets (C, 2)."""
    (height, width), (h, w) = spec.canvas_shape, spec.frame_shape
    whole = np.floor(offsets + 0.5)
    waves = [np.array([move(mode, *rest) for mode in light.probe]) for rest in offsets - whole]
    corners = [(height // 2 - h // 2 + int(y), width // 2 - w // 2 + int(x)) for y, x in whole]
    measured = np.moveaxis(amplitudes, -1, 0)
    top, left = ((a - b) // 2 for a, b in zip(spec.canvas_shape, spec.window_shape, strict=True))
    window = slice(top, top + spec.window_shape[0]), slice(left, left + spec.window_shape[1])
    obj = np.ones(spec.canvas_shape, complex)
    for stage in range(spec.stages):
        for _ in range(spec.projections):
            before = obj
            obj, lit = project(obj, measured, waves, corners, light.mask)
        change = obj - before
        features = np.stack((obj.real - 1, obj.imag, change.real, change.imag, np.sqrt(lit)), axis=-1)
        obj[window] += correct(features[window], weights, stage)
    return obj


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gridsize", "frame_shape", "modes"), [(1, (16, 23), 3), (2, (19, 14), 3), (3, (13, 18), 1)], ids=str
)
def test_either_framework_computes_what_the_document_says(
    gridsize: int, frame_shape: tuple[int, int], modes: int
) -> None:
    rng = np.random.default_rng(gridsize)
    h, w = frame_shape
    y, x = np.indices(frame_shape) - np.reshape((h // 2 + 1, w // 2 - 2), (2, 1, 1))  # not centred, and tilted
    beam = np.exp(-((y / 4) ** 2) - (x / 5) ** 2 + 1j * (0.05 * y**2 - 0.03 * x**2 + 0.4 * y - 0.2 * x))
    probe = beam * (1 + 0.5 * rng.standard_normal((modes, h, w)) + 0.5j * rng.standard_normal((modes, h, w)))
    mask = rng.random(frame_shape) > 0.1
    offsets = rng.uniform((-3.3, -5.4), (2.6, 4.8), (2, max(4, gridsize**2), 2))
    specification = specify(probe, offsets, gridsize=gridsize, stages=2, projections=2, filters=3)
    offsets = offsets[:, : gridsize**2]
    offsets = offsets - np.floor(offsets + 0.5) if gridsize == 1 else offsets
    light = illuminate(probe, Normalisation(1e4, frame_shape), mask)
    weights = {
        name: (0.3 * rng.standard_normal(value.shape)).astype(np.float32)
        for name, value in start_weights(specification).items()
    }
    amplitudes = mask[:, :, None] * np.sqrt(rng.exponential(0.25, (2, h, w, gridsize**2)))
    expected = np.array(
        [predict(specification, light, weights, some, places) for some, places in zip(amplitudes, offsets, strict=True)]
    )[..., None]
    for framework in ("torch", "tensorflow"):
        network = build_network(specification, light, weights, framework=framework, device="cpu", precision="float64")
        assert np.abs(network.predict(amplitudes, offsets) - expected).max() < 1e-9 * np.abs(expected).max()
