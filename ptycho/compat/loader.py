"""`ptycho.loader`: a container of samples that stays on disk, or in numpy, until somebody looks at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.checks import parse_choice
from ptycho.data.normalisation import Normalisation, fit_normalisation
from ptycho.data.rows import Rows
from ptycho.data.scan import DataKind
from ptycho.data.streaming import Batches, TorchBatches, stream_tensorflow
from ptycho.errors import ConfigError, DependencyError, ShapeError
from ptycho.physics.shapes import check_shape

__all__ = ["Framework", "PtychoDataContainer", "load"]

Source = NDArray[Any] | Rows
EXPECTED = dict.fromkeys(("coords_nominal", "coords_true", "local_offsets"), "(B, 1, 2, C)") | {
    "nn_indices": "(B, C)",
    "global_offsets": "(B, 1, 2, 1)",
}  # axes of what belongs to a sample, unless they are those of X
PER_SAMPLE = ("X", "Y_I", "Y_phi", "coords_nominal", "coords_true", "nn_indices", "global_offsets", "local_offsets")


class Framework(StrEnum):
    """Whose tensors a container's properties return."""

    TENSORFLOW = "tensorflow"
    TORCH = "torch"
    NUMPY = "numpy"


class PtychoDataContainer:
    """B samples of C frames each, under their published names.

    `_X_np`, `_Y_I_np`, `_Y_phi_np`, `_coords_nominal_np`, `_coords_true_np` give numpy for what is indexed;
    `X`, `Y`, `coords`, … are whole tensors, made when first asked for and kept. ``container[10:20]`` is a
    container of those samples: nothing is computed, and the normalisation is the same object.

    Parameters
    ----------
    X
        (B, h, w, C) amplitudes: an array in memory or mapped, a tensor of either framework, or rows.
    Y_I, Y_phi
        (B, h, w, C) amplitude and phase of the object, None where it is not known.
    norm_Y_I, YY_full
        Scale of `Y_I` and the whole object, kept as they are.
    coords_nominal, coords_true
        (B, 1, 2, C) relative coordinates, order [x, y]; `coords_true` are the nominal ones when not given.
    nn_indices, global_offsets, local_offsets
        (B, C) frames of each sample, (B, 1, 2, 1) centres, (B, 1, 2, C) relative coordinates.
    probeGuess
        (h, w) or (m, h, w) complex.
    normalisation
        By which `X` has been scaled already; None when it has not been.
    mask
        (h, w) bool, True where the detector can be believed; None believes every pixel.
    kind
        What the numbers behind `X` were, None when that is not known.
    framework
        Whose tensors `X`, `Y`, `coords`, … are.

    Raises
    ------
    ShapeError
        If `X` has not four axes, or another array does not fit it.
    ConfigError
        If there is no such framework.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- the published signature
        self,
        X: Any,  # noqa: ANN401 -- a tensor of either framework
        Y_I: Any = None,  # noqa: ANN401
        Y_phi: Any = None,  # noqa: ANN401
        norm_Y_I: Any = None,  # noqa: ANN401
        YY_full: Any = None,  # noqa: ANN401
        coords_nominal: Any = None,  # noqa: ANN401
        coords_true: Any = None,  # noqa: ANN401
        nn_indices: Any = None,  # noqa: ANN401
        global_offsets: Any = None,  # noqa: ANN401
        local_offsets: Any = None,  # noqa: ANN401
        probeGuess: Any = None,  # noqa: ANN401
        *,
        normalisation: Normalisation | None = None,
        mask: NDArray[np.bool_] | None = None,
        kind: DataKind | None = None,
        framework: Framework | str = Framework.TENSORFLOW,
    ) -> None:
        given = (X, Y_I, Y_phi, coords_nominal, coords_true, nn_indices, global_offsets, local_offsets)
        arrays = {name: _to_source(value) for name, value in zip(PER_SAMPLE, given, strict=True) if value is not None}
        if "X" not in arrays or arrays["X"].ndim != 4:
            raise ShapeError(f"X: expected (B, h, w, C), found {np.shape(X) if X is not None else None}")
        if "coords_nominal" in arrays:
            arrays.setdefault("coords_true", arrays["coords_nominal"])
        _check_container(arrays, mask)
        self._arrays: dict[str, Source] = arrays
        self._tensors: dict[str, Any] = {}
        self.norm_Y_I, self.YY_full, self.probe = norm_Y_I, YY_full, probeGuess
        self.normalisation, self.mask, self.kind = normalisation, mask, kind
        self.framework = parse_choice("container: framework", framework, Framework)

    def __len__(self) -> int:
        return len(self._arrays["X"])

    def __getitem__(self, key: Any) -> PtychoDataContainer:  # noqa: ANN401 -- a slice, integers or a mask
        if isinstance(key, int | np.integer):
            key = [key]
        return self._replace({name: _select(array, key) for name, array in self._arrays.items()}, self.normalisation)

    @property
    def is_normalised(self) -> bool:
        """Whether `X` has been scaled."""
        return self.normalisation is not None

    def normalised(self, normalisation: Normalisation | None = None) -> PtychoDataContainer:
        """Return the container with scaled amplitudes, 0 off the mask; one that is normalised is returned as it is.

        Parameters
        ----------
        normalisation
            That of the training split; fitted to all samples of this container when not given.
        """
        if self.is_normalised:
            return self
        amplitudes, mask = self._arrays["X"], self.mask
        fitted = normalisation or fit_normalisation(amplitudes, mask, amplitude=True)

        def compute(index: NDArray[np.int64]) -> NDArray[np.float32]:
            scaled = (fitted.scale * np.asarray(amplitudes[index], np.float64)).astype(np.float32)
            return scaled if mask is None else np.where(mask[..., None], scaled, np.float32(0))

        scaled = Rows(np.arange(len(self)), compute, amplitudes.shape[1:], np.dtype(np.float32))
        return self._replace({**self._arrays, "X": scaled}, fitted)

    def as_tf_dataset(self, batch_size: int, *, seed: int | None = None) -> Any:  # noqa: ANN401 -- a tf.data.Dataset
        """Return a `tf.data.Dataset` that makes one batch at a time, with its cardinality.

        Elements are (inputs, targets), float32: (`X`, `coords`) and (`X`,), or (`X`, `Y_I`, `Y_phi`) where the
        object is known. A batch is made when its turn comes, and the last one may hold fewer samples.

        Parameters
        ----------
        batch_size
            Samples in a batch.
        seed
            Of the permutation, a new one in every pass; None keeps the order.
        """
        return stream_tensorflow(Batches(len(self), batch_size, seed), self.read)

    def as_torch_dataset(self, batch_size: int, *, seed: int | None = None) -> TorchBatches:
        """Return the same batches in the same order as torch tensors; `set_epoch` chooses the permutation."""
        return TorchBatches(Batches(len(self), batch_size, seed), self.read)

    def read(self, indices: NDArray[np.int64]) -> tuple[tuple[NDArray[Any], ...], ...]:
        """Return (inputs, targets) of some samples as numpy, float32; as `as_tf_dataset` lists them."""
        names = [name for name in ("X", "coords_nominal", "Y_I", "Y_phi") if name in self._arrays]
        got = {name: np.ascontiguousarray(self._arrays[name][indices], np.float32) for name in names}
        inputs = [got[name] for name in names[:2] if name in ("X", "coords_nominal")]
        return tuple(inputs), (got["X"], *(got[name] for name in ("Y_I", "Y_phi") if name in got))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- arrays and tensors under their published names
        arrays = self.__dict__.get("_arrays", {})
        if name.startswith("_") and name.endswith("_np") and name[1:-3] in PER_SAMPLE:
            return arrays.get(name[1:-3])
        name = "coords_nominal" if name == "coords" else name
        if name not in (*PER_SAMPLE, "Y"):
            raise AttributeError(f"{type(self).__name__}: expected a published name, found {name!r}")
        if name not in self._tensors:
            self._tensors[name] = self._make_tensor(name)
        return self._tensors[name]

    def _make_tensor(self, name: str) -> Any:  # noqa: ANN401 -- of the container's framework
        """Return one of the arrays, or Y = Y_I exp(i Y_phi), as a tensor; None where it is not known."""
        if name == "Y":
            if "Y_I" not in self._arrays or "Y_phi" not in self._arrays:
                return None
            amplitude, phase = (np.asarray(self._arrays[part], np.float32) for part in ("Y_I", "Y_phi"))
            return _to_tensor((amplitude * np.exp(1j * phase)).astype(np.complex64), self.framework)
        if name not in self._arrays:
            return None
        dtype = np.int64 if name == "nn_indices" else np.float32
        return _to_tensor(np.asarray(self._arrays[name], dtype), self.framework)

    def _replace(self, arrays: Mapping[str, Source], normalisation: Normalisation | None) -> PtychoDataContainer:
        """Return a container of other arrays, and all else the same."""
        return PtychoDataContainer(
            **arrays,
            norm_Y_I=self.norm_Y_I,
            YY_full=self.YY_full,
            probeGuess=self.probe,
            normalisation=normalisation,
            mask=self.mask,
            kind=self.kind,
            framework=self.framework,
        )


def load(
    cb: Callable[[], Any],
    probe: Any,  # noqa: ANN401 -- an array or a tensor
    which: str | None = None,
    create_split: bool = False,  # noqa: FBT001, FBT002, RUF100 -- the published signature
    *,
    framework: Framework | str = Framework.TENSORFLOW,
) -> PtychoDataContainer:
    """Make a container of grouped data.

    Parameters
    ----------
    cb
        Returns what `RawData.generate_grouped_data` returns; with `create_split` that and the fraction of the
        groups, the first ones, that are for training.
    probe
        (h, w) or (m, h, w) complex.
    which
        "train" or "test" when there is a split.
    create_split
        Whether to split.
    framework
        Whose tensors the container's properties are.

    Raises
    ------
    ConfigError
        If a split is asked for without saying which part, or leaves it empty.
    """
    grouped, fraction = cb() if create_split else (cb(), 1.0)
    truth = grouped["Y"]
    container = PtychoDataContainer(
        X=grouped["X_full"],
        Y_I=None if truth is None else _derive(truth, np.abs),
        Y_phi=None if truth is None else _derive(truth, np.angle),
        norm_Y_I=None if truth is None else 1.0,
        YY_full=grouped["objectGuess"],
        coords_nominal=grouped["coords_start_relative"],
        coords_true=grouped["coords_relative"],
        nn_indices=grouped["nn_indices"],
        global_offsets=grouped["coords_offsets"],
        local_offsets=grouped["coords_relative"],
        probeGuess=probe,
        normalisation=grouped["normalisation"],
        mask=grouped.get("mask"),
        kind=grouped.get("kind"),
        framework=framework,
    )
    if not create_split:
        return container
    cut = int(fraction * len(container))
    parts = {"train": slice(None, cut), "test": slice(cut, None)}
    if which not in parts or not 0 < cut < len(container):
        raise ConfigError(
            f"load: expected which='train' or 'test' and a fraction that leaves both groups, found {which!r} and "
            f"{fraction} of {len(container)}"
        )
    return container[parts[which]]


def _check_container(arrays: Mapping[str, Source], mask: NDArray[np.bool_] | None) -> None:
    """Raise unless all arrays of a container fit its X."""
    b, h, w, c = shape = arrays["X"].shape
    for name, array in arrays.items():
        expected = EXPECTED.get(name, "(B, h, w, C)")
        lengths = {"B": b, "h": h, "w": w, "C": c}
        wanted = tuple(lengths[axis] if axis in lengths else int(axis) for axis in expected[1:-1].split(", "))
        check_shape(name, array.shape, wanted, f"that is {expected} for X {shape}")
    if mask is not None:
        check_shape("mask", mask.shape, (h, w), f"one detector mask serves all samples of X {shape}")


def _derive(rows: Rows, part: Callable[[NDArray[Any]], NDArray[Any]]) -> Rows:
    """Return rows of amplitudes or phases from complex rows."""
    return Rows(rows.index, lambda index: part(rows.compute(index)), rows.tail, np.dtype(np.float32))


def _select(array: Source, key: Any) -> Source:  # noqa: ANN401 -- a slice, integers or a mask
    """Return some samples of an array, computing nothing."""
    return array.select(key) if isinstance(array, Rows) else array[key]


def _to_source(value: Any) -> Source:  # noqa: ANN401 -- a tensor of either framework
    """Return an array or a tensor as numpy, as it is where possible: mapped arrays stay mapped."""
    if isinstance(value, np.ndarray | Rows):
        return value
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def _to_tensor(array: NDArray[Any], framework: Framework) -> Any:  # noqa: ANN401 -- of that framework
    """Return a tensor with the values of an array.

    Raises
    ------
    DependencyError
        If the framework is not installed.
    """
    try:
        if framework is Framework.TENSORFLOW:
            import tensorflow as tf

            return tf.convert_to_tensor(array)
        if framework is Framework.TORCH:
            import torch

            return torch.from_numpy(np.array(array))
    except ImportError as error:
        raise DependencyError(
            f"container: expected {framework}; install the extra [{framework}], or pass framework='numpy'"
        ) from error
    return array
