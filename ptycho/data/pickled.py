"""Arrays from a pickle that nobody has to trust: what it names is neither imported nor called."""

from __future__ import annotations

import io
import pickle  # noqa: TID251 -- one public set is a pickle; `find_class` below admits stand-ins only
import re

import numpy as np
from numpy.typing import NDArray

from ptycho.errors import DataError

__all__ = ["read_pickled_arrays"]

FAULTS = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class _Dtype:
    """Stands for `numpy.dtype`: numbers only, no objects, no records."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not re.fullmatch("[biufc][0-9]+", code):
            raise pickle.UnpicklingError(f"expected a type of numbers, found numpy.dtype({code!r})")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), "<" | ">" | "|" | "=" as order, None, None, None, *_):
                self.dtype = self.dtype.newbyteorder(order)
            case _:
                raise pickle.UnpicklingError(f"expected the byte order of a numpy.dtype, found {state!r:.80}")


class _Array:
    """Stands for `numpy.ndarray` and for the function that makes an empty one, to be filled by its state."""

    array: NDArray[np.generic] | None = None

    def __init__(self, *_: object) -> None:
        """Take class, shape and type of an empty array; they tell nothing."""

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), tuple() as shape, _Dtype() as numbers, bool() as by_column, (bytes() | bytearray()) as data):
                flat = np.frombuffer(data, numbers.dtype)
                self.array = flat.reshape(shape, order="F" if by_column else "C")
            case _:
                raise pickle.UnpicklingError(f"expected shape, type and bytes of a numpy.ndarray, found {state!r:.80}")


class _FramedArray(_Array):
    """Stands for the function that makes an array from a buffer (protocol 5)."""

    def __init__(self, data: object, numbers: object, shape: object, order: object, *_: object) -> None:
        if order not in ("C", "F"):
            raise pickle.UnpicklingError(f"expected an array by rows (C) or columns (F), found order {order!r:.80}")
        self.__setstate__((1, shape, numbers, order == "F", data))


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler for which the world consists of arrays of numbers."""

    def find_class(self, module_name: str, global_name: str, /) -> type[_Array | _Dtype]:
        """Return the stand-in for what a pickle of arrays names; raise, with its name, for anything else."""
        match f"{module_name}.{global_name}".replace("numpy._core.", "numpy.core."):  # numpy 2 and numpy 1
            case "numpy.ndarray" | "numpy.core.multiarray._reconstruct":
                return _Array
            case "numpy.core.numeric._frombuffer":
                return _FramedArray
            case "numpy.dtype":
                return _Dtype
        raise pickle.UnpicklingError(
            f"found {module_name}.{global_name}, which is no part of an array; nothing was run"
        )


def read_pickled_arrays(content: bytes, where: str) -> tuple[NDArray[np.generic], ...]:
    """Return the arrays of a pickled list.

    No code that the pickle names runs, and not even numpy's own functions are called with what it holds: classes
    of this module stand in their places. A hostile pickle can still ask for much memory, so check where it comes
    from first, by its SHA-256.

    Parameters
    ----------
    content
        The pickle, of protocol 3 to 5, whole in itself.
    where
        What to call it in errors.

    Returns
    -------
    tuple of ndarray
        Read-only, of any shape; booleans, integers, real or complex numbers.

    Raises
    ------
    DataError
        If the pickle names anything but arrays of numbers, is damaged, or is no list of arrays.
    """
    try:
        loaded = _ArrayUnpickler(io.BytesIO(content)).load()
    except FAULTS as error:
        raise DataError(f"{where}: expected a complete pickle of plain arrays: {error}") from error
    if not isinstance(loaded, list):
        raise DataError(f"{where}: expected a list of arrays, found one {type(loaded).__name__.strip('_')}")
    arrays = [item.array for item in loaded if isinstance(item, _Array) and item.array is not None]
    if len(arrays) != len(loaded):
        raise DataError(f"{where}: expected a list of arrays, found {len(arrays)} of them among {len(loaded)} items")
    return tuple(arrays)
