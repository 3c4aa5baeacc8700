"""Batches of samples for either framework, made one at a time: an epoch needs the memory of a batch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.checks import check_whole
from ptycho.errors import DependencyError

__all__ = ["Batches", "TorchBatches", "stream_tensorflow"]

Arrays = tuple[NDArray[Any], ...]
Read = Callable[[NDArray[np.int64]], tuple[Arrays, ...]]  # indices in, (inputs, targets) out


@dataclass(frozen=True)
class Batches:
    """How the samples of an epoch are dealt into batches: the same in memory, in a stream, in any framework.

    Attributes
    ----------
    count
        Number of samples.
    batch_size
        Samples in a batch; the last one may hold fewer.
    seed
        Of the permutation, which differs from epoch to epoch; None keeps the order.
    """

    count: int
    batch_size: int
    seed: int | None = None

    def __post_init__(self) -> None:
        check_whole("batches: count", self.count)
        check_whole("batches: batch_size", self.batch_size)
        if self.seed is not None:
            check_whole("batches: seed", self.seed, 0)

    def __len__(self) -> int:
        return math.ceil(self.count / self.batch_size)

    def order(self, epoch: int = 0) -> NDArray[np.int64]:
        """Return the (count,) int64 samples in the order of an epoch."""
        if self.seed is None:
            return np.arange(self.count)
        return np.random.default_rng((self.seed, epoch)).permutation(self.count)

    def indices(self, epoch: int = 0) -> Iterator[NDArray[np.int64]]:
        """Yield the samples of each batch of an epoch."""
        order = self.order(epoch)
        return (order[start : start + self.batch_size] for start in range(0, self.count, self.batch_size))


def stream_tensorflow(batches: Batches, read: Read) -> Any:  # noqa: ANN401 -- a tf.data.Dataset
    """Return a `tf.data.Dataset` of (inputs, targets) with its cardinality; each pass over it is an epoch.

    Raises
    ------
    DependencyError
        If TensorFlow is not installed.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        raise DependencyError("as_tf_dataset: expected TensorFlow; install the extra [tensorflow]") from error
    epochs = itertools.count()
    probe = read(np.zeros(1, np.int64))
    signature = tuple(
        tuple(tf.TensorSpec((None, *array.shape[1:]), tf.as_dtype(array.dtype)) for array in arrays) for arrays in probe
    )
    dataset = tf.data.Dataset.from_generator(
        lambda: (read(indices) for indices in batches.indices(next(epochs))), output_signature=signature
    )
    return dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))


@dataclass
class TorchBatches:
    """Batches as torch tensors: a map-style data set, for a loop or for `DataLoader(..., batch_size=None)`.

    Attributes
    ----------
    batches
        How samples are dealt.
    read
        Turns (b,) indices into (inputs, targets).
    """

    batches: Batches
    read: Read
    _order: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the permutation of an epoch."""
        self._order = self.batches.order(epoch)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, batch: int) -> Any:  # noqa: ANN401 -- tuples of torch.Tensor
        """Return batch number `batch` as (inputs, targets), tuples of CPU tensors.

        Raises
        ------
        IndexError
            If there are not as many batches.
        DependencyError
            If torch is not installed.
        """
        if not 0 <= batch < len(self):
            raise IndexError(f"batch: expected 0 to {len(self) - 1}, found {batch}")
        try:
            import torch
        except ImportError as error:
            raise DependencyError("as_torch_dataset: expected torch; install the extra [torch]") from error
        size = self.batches.batch_size
        read = self.read(self._order[batch * size : (batch + 1) * size])
        return tuple(tuple(torch.from_numpy(array) for array in arrays) for arrays in read)
