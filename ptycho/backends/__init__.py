"""The operators in three frameworks under the same names: numpy defines them, torch and TensorFlow port them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from ptycho.checks import parse_choice
from ptycho.errors import DependencyError

__all__ = ["Backend", "BackendName", "load"]


class BackendName(StrEnum):
    """The frameworks that there are operators for."""

    NUMPY = "numpy"
    TORCH = "torch"
    TENSORFLOW = "tensorflow"


@dataclass(frozen=True)
class Backend:
    """One framework's operators and losses.

    Attributes
    ----------
    name
        Which framework.
    operators
        Module of the linear and forward operators; names, arguments and results are those of `ptycho.physics`.
    losses
        Module of the losses, those of `ptycho.physics.losses`.
    consistency
        Module of what compares the canvases of groups with measured frames, that of `ptycho.physics.consistency`.
    asarray
        Makes the framework's array of a numpy array, of the same dtype.
    to_numpy
        Brings an array of the framework back, from any device and without its gradient.
    """

    name: BackendName
    operators: ModuleType
    losses: ModuleType
    consistency: ModuleType
    asarray: Callable[[NDArray[Any]], Any]
    to_numpy: Callable[[Any], NDArray[Any]]


def load(name: str) -> Backend:
    """Return a backend, importing its framework now and not before.

    Positions, offsets and shifts are float64 in every backend, as numpy arrays or the framework's own; images are
    complex64 or complex128, and what comes out has their precision. Everything but `to_numpy` can be
    differentiated and stands inside `torch.compile` and `tf.function`. A patch outside its canvas raises
    ShapeError where values are known; inside a compiled graph, which cannot look, zeros stand for what is outside.

    Parameters
    ----------
    name
        "numpy", "torch" or "tensorflow".

    Raises
    ------
    ConfigError
        If there is no such backend.
    DependencyError
        If the framework is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> backend = load("numpy")
    >>> backend.operators.propagate(np.ones((2, 2), np.complex64)).real.round(6)
    array([[0., 0.],
           [0., 2.]], dtype=float32)
    """
    chosen = parse_choice("backend", name, BackendName)
    try:
        package = importlib.import_module(f"ptycho.backends.{chosen}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "ptycho":
            raise
        raise DependencyError(
            f"backend {chosen}: expected the package {error.name}, found none; "
            f"install this project with it: python -m pip install '.[{chosen}]'"
        ) from error
    return Backend(chosen, package.operators, package.losses, package.consistency, package.asarray, package.to_numpy)
