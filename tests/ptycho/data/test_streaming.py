"""How samples are dealt into batches."""

import numpy as np
import pytest

from ptycho.data.streaming import Batches
from ptycho.errors import ConfigError


@pytest.mark.parametrize(("count", "size", "number"), [(10, 3, 4), (9, 3, 3), (1, 16, 1)])
@pytest.mark.parametrize("seed", [None, 5])
def test_every_sample_is_in_one_batch(count: int, size: int, number: int, seed: int | None) -> None:
    batches = Batches(count, size, seed)
    dealt = list(batches.indices())
    assert len(dealt) == len(batches) == number
    np.testing.assert_array_equal(np.sort(np.concatenate(dealt)), np.arange(count))


def test_epochs_differ_and_a_seed_repeats_them() -> None:
    first, again, other = Batches(50, 7, 1), Batches(50, 7, 1), Batches(50, 7, 2)
    np.testing.assert_array_equal(first.order(3), again.order(3))
    assert (first.order(0) != first.order(1)).any()
    assert (first.order(0) != other.order(0)).any()


def test_no_samples_is_an_error() -> None:
    with pytest.raises(ConfigError, match="count: expected a whole number >= 1, found 0"):
        Batches(0, 4)
    with pytest.raises(ConfigError, match="seed: expected a whole number >= 0, found -1"):
        Batches(9, 4, seed=-1)
