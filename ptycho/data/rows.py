"""An array whose rows are computed when somebody looks at them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ptycho.errors import ShapeError

__all__ = ["Rows", "pick_rows", "slabs"]

SLAB_PIXELS = 2**20


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a larger thing, addressed as a numpy array of shape (B, ...) would be.

    ``rows[key]`` computes what the key asks of the first axis and nothing more, and returns numpy;
    ``rows.select(key)`` returns rows and computes nothing; ``np.asarray(rows)`` computes all, slab by slab.

    Attributes
    ----------
    index
        (B,) int64, which rows of the larger thing these are.
    compute
        Turns (b,) indices into an array (b, *tail).
    tail
        Shape of one row.
    dtype
        Of the computed rows.
    """

    index: NDArray[np.int64]
    compute: Callable[[NDArray[np.int64]], NDArray[Any]]
    tail: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """(B, *tail)."""
        return (len(self.index), *self.tail)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 1 + len(self.tail)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: Any) -> NDArray[Any]:  # noqa: ANN401 -- numpy's indices have no type
        first, rest = (key[0], key[1:]) if isinstance(key, tuple) and key else (key, ())
        if first is Ellipsis or first is None or (isinstance(key, tuple) and not key):
            whole: NDArray[Any] = np.asarray(self)[key]
            return whole
        chosen = self.index[first]
        if chosen.ndim == 0:
            row: NDArray[Any] = self.compute(chosen[None])[0][rest]
            return row
        values = np.asarray(replace(self, index=chosen.ravel()))
        # A list pairs with further lists, as in numpy; a slice does not.
        rows = slice(None) if isinstance(first, slice) else np.arange(chosen.size).reshape(chosen.shape)
        picked: NDArray[Any] = values[(rows, *rest)]
        return picked

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("rows are computed: expected copy=None or copy=True, found copy=False")
        values = np.empty(self.shape, self.dtype if dtype is None else dtype)
        for slab in slabs(self.shape):
            values[slab] = self.compute(self.index[slab])
        return values

    def select(self, key: Any) -> Rows:  # noqa: ANN401 -- numpy's indices have no type
        """Return some of the rows, by a slice, integers or a boolean mask; nothing is computed.

        Raises
        ------
        ShapeError
            If the key does not leave one axis of rows.
        """
        chosen = self.index[key]
        if chosen.ndim != 1:
            raise ShapeError(f"rows: expected a slice, a list or a mask, found a key that gives {chosen.shape}")
        return replace(self, index=chosen)


def pick_rows(array: NDArray[Any], index: NDArray[np.int64]) -> Rows:
    """Return some rows of an array in memory or mapped, copied when somebody looks at them."""
    return Rows(index, lambda chosen: array[chosen], array.shape[1:], array.dtype)


def slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cut the first axis of an array into slices of about a million elements."""
    step = max(1, SLAB_PIXELS // max(1, math.prod(shape[1:])))
    return (slice(start, start + step) for start in range(0, shape[0], step))
