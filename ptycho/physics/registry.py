"""Every operator and loss in one table: tests read their cases, and the promises each must keep, from here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.backends import Backend
from ptycho.physics.forward import diffract_adjoint_object, diffract_adjoint_probe
from ptycho.physics.groups import accumulate_groups, divide_on_support, sample_groups, spread_groups
from ptycho.physics.patches import extract_patches, scatter_patches
from ptycho.physics.propagation import backpropagate, propagate
from ptycho.physics.setting import Setting
from ptycho.physics.shift import unshift_probe
from ptycho.physics.translation import translate

__all__ = ["OPERATORS", "Operator"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Operator:
    """An operator or a loss as a function of the arrays it is differentiated by.

    Attributes
    ----------
    name
        What tests call it; its first word is the function of the backend.
    of
        The setting's arrays that it is a function of; their shapes are its domain.
    call
        ``call(backend, setting, *arrays)``, arrays of the framework in, one array out.
    adjoint
        ``adjoint(setting, y)``, Aᴴ y in numpy, when the function is linear, else None.
    unitary
        Whether Σ|A x|² = Σ|x|².
    by_frame
        Whether the result's first axis runs over frames or groups that do not know of each other.
    """

    name: str
    of: tuple[str, ...]
    call: Callable[..., Any]
    adjoint: Callable[[Setting, Array], Array] | None = None
    unitary: bool = False
    by_frame: bool = True

    def inputs(self, setting: Setting) -> tuple[Array, ...]:
        """Return the arrays that it is a function of."""
        return tuple(getattr(setting, name) for name in self.of)

    def bind(self, backend: Backend, setting: Setting) -> Callable[..., Any]:
        """Return it as a function of the backend's arrays alone."""
        return partial(self.call, backend, setting)


def _transform(name: str, adjoint: Callable[[Array], Array]) -> Operator:
    """Return the entry of a unitary transform of each frame."""
    return Operator(
        name, ("frames",), lambda b, s, x: getattr(b.operators, name)(x), lambda s, y: adjoint(y), unitary=True
    )


def _translation(kind: str, of: str) -> Operator:
    """Return the entry of one kind of translation, of waves or of real images."""
    return Operator(
        f"translate {kind} {of}",
        (of,),
        lambda b, s, x: b.operators.translate(x, s.positions, kind=kind),
        lambda s, y: translate(y, -s.positions, kind=kind),
    )


def _loss(name: str, *, masked: bool, **options: bool) -> Operator:
    """Return the entry of a loss of λ."""

    def call(b: Backend, s: Setting, model: Any) -> Any:  # noqa: ANN401 -- an array of any framework
        return getattr(b.losses, name)(b.asarray(s.counts), model, s.mask if masked else None, **options)

    return Operator(f"{name} {masked=} {options}", ("model",), call, by_frame=False)


def _conditions(s: Setting) -> dict[str, Any]:
    """Return what a detector adds to a forward model."""
    return {"gain": 1.5, "background": s.weights, "mask": s.mask}


def _places(s: Setting) -> NDArray[np.float64]:
    """Return positions (n, C, 2) on the object's canvas, C near each frame."""
    steps = 0.1 * np.arange(s.offsets.shape[1])[:, None]
    return s.positions[:, None] + np.asarray(steps, np.float64)


def _weigh_canvas(s: Setting, canvas: Array) -> Array:
    """Return the adjoint of stitching's numerator, w T y, with the whole canvas as one group."""
    offsets = (_places(s) - s.origin - np.array(canvas.shape) // 2).reshape(1, -1, 2)
    windows = sample_groups(canvas[None, ..., None], offsets, s.frame_shape)
    patches = np.moveaxis(windows.reshape(*s.frame_shape, *s.offsets.shape[:2]), 2, 0)
    return np.asarray(s.weights[..., None] * patches)


def _unmerge(s: Setting, canvases: Array) -> Array:
    """Return the adjoint of the merge, w T(y / Σ Tᴴ w)."""
    _, total = accumulate_groups(s.patches, s.offsets, s.weights, s.padded)
    divided, _ = divide_on_support(canvases, total)
    return np.asarray(s.weights[..., None] * sample_groups(divided, s.offsets, s.frame_shape))


def _remainders(s: Setting) -> NDArray[np.float64]:
    """Return (n·C, 2): how far each probe of the groups is moved."""
    offsets = s.offsets.reshape(-1, 2)
    return offsets - np.floor(offsets + 0.5)


def _predict_groups(b: Backend, s: Setting, canvases: Any, probe: Any) -> Any:  # noqa: ANN401 -- of any framework
    """Return λ of groups on a masked detector."""
    waves, whole = b.consistency.light_groups(probe, s.offsets)
    return b.consistency.predict_groups(canvases, whole, waves, mask=s.mask)


def _project(b: Backend, s: Setting, probe: Any) -> Any:  # noqa: ANN401 -- of any framework
    """Return the projection onto amplitudes on a masked detector."""
    waves, whole = b.consistency.light_groups(probe, s.offsets)
    return b.consistency.Projection(b.asarray(abs(s.patches)), whole, waves, s.padded, mask=s.mask)


OPERATORS = (
    _transform("propagate", backpropagate),
    _transform("backpropagate", propagate),
    Operator(
        "shift_probe",
        ("probe",),
        lambda b, s, x: b.operators.shift_probe(x, s.remainders),
        lambda s, y: unshift_probe(y, s.remainders),
    ),
    *(_translation(kind, of) for kind in ("bilinear", "fourier") for of in ("frames", "model")),
    Operator(
        "extract_patches",
        ("obj",),
        lambda b, s, x: b.operators.extract_patches(x, s.corners, s.frame_shape),
        lambda s, y: scatter_patches(y, s.corners, s.obj.shape),
    ),
    Operator(
        "scatter_patches",
        ("frames",),
        lambda b, s, x: b.operators.scatter_patches(x, s.corners, s.obj.shape),
        lambda s, y: extract_patches(y, s.corners, s.frame_shape),
        by_frame=False,
    ),
    Operator(
        "diffract by object",
        ("obj",),
        lambda b, s, x: b.operators.diffract(x, s.origin, b.asarray(s.probe), s.positions),
        lambda s, y: diffract_adjoint_object(y, s.origin, s.probe, s.positions, s.obj.shape),
    ),
    Operator(
        "diffract by probe",
        ("probe",),
        lambda b, s, x: b.operators.diffract(b.asarray(s.obj), s.origin, x, s.positions),
        lambda s, y: diffract_adjoint_probe(y, s.obj, s.origin, s.positions),
    ),
    Operator(
        "sample_groups by canvas",
        ("canvases",),
        lambda b, s, x: b.operators.sample_groups(x, s.offsets, s.frame_shape),
        lambda s, y: spread_groups(y, s.offsets, s.padded),
    ),
    Operator(
        "sample_groups by canvas and offset",
        ("canvases", "offsets"),
        lambda b, s, x, t: b.operators.sample_groups(x, t, s.frame_shape),
    ),
    Operator(
        "spread_groups",
        ("patches",),
        lambda b, s, x: b.operators.spread_groups(x, s.offsets, s.padded),
        lambda s, y: sample_groups(y, s.offsets, s.frame_shape),
    ),
    Operator(
        "accumulate_groups, the denominator",
        ("weights",),
        lambda b, s, w: b.operators.accumulate_groups(b.asarray(s.patches), s.offsets, w, s.padded)[1],
    ),
    Operator(
        "accumulate_canvas, the numerator",
        ("patches",),
        lambda b, s, x: b.operators.accumulate_canvas(x, _places(s), s.weights, s.origin, s.obj.shape)[0],
        _weigh_canvas,
        by_frame=False,
    ),
    Operator(
        "merge_groups",
        ("patches",),
        lambda b, s, x: b.operators.merge_groups(x, s.offsets, s.weights, s.padded)[0],
        _unmerge,
    ),
    Operator(
        "predict_intensity",
        ("obj", "probe"),
        lambda b, s, x, p: b.operators.predict_intensity(x, s.origin, p, s.positions, **_conditions(s)),
    ),
    Operator(
        "predict_patches",
        ("frames", "probe"),
        lambda b, s, x, p: b.operators.predict_patches(x, p, **_conditions(s)),
    ),
    Operator(
        "light_groups, the waves",
        ("probe",),
        lambda b, s, p: b.consistency.light_groups(p, s.offsets)[0],
        lambda s, y: unshift_probe(y.reshape(-1, *s.probe.shape), _remainders(s)),
    ),
    Operator("sum_modes", ("probe",), lambda b, s, p: b.operators.sum_modes(p), by_frame=False),
    Operator(
        "predict_groups",
        ("canvases", "probe"),
        _predict_groups,
    ),
    Operator(
        "Projection",
        ("canvases", "probe"),
        lambda b, s, x, p: _project(b, s, p).move(x, steps=2),
    ),
    Operator("Projection, the light", ("probe",), lambda b, s, p: _project(b, s, p).light),
    *(
        _loss(name, masked=masked)
        for name in ("poisson_nll", "amplitude_mae", "amplitude_mse", "deviance_ratio")
        for masked in (False, True)
    ),
    _loss("poisson_nll", masked=True, constant=True),
    Operator("total_variation", ("frames",), lambda b, s, x: b.losses.total_variation(x), by_frame=False),
    Operator(
        "complex_mae",
        ("frames",),
        lambda b, s, x: b.losses.complex_mae(b.asarray(2 * s.frames[::-1]), x, s.mask),
        by_frame=False,
    ),
)
