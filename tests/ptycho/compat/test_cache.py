"""The disk cache: a hit equals a miss, and what differs never shares a key."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptycho.compat.cache
from ptycho.archive import load_arrays
from ptycho.cache import _hash_numpy, _hash_payload, _normalize_for_hash, memoize_raw_data
from ptycho.data import DataKind
from ptycho.errors import ConfigError
from ptycho.raw_data import RawData

ROOT = Path(__file__).parents[3]


def make_raw(seed: int, scale: float = 2.0) -> RawData:
    rng = np.random.default_rng(int(seed))
    return RawData.from_coords_without_pc(
        rng.uniform(0, 9, 5),
        rng.uniform(0, 9, 5),
        scale * rng.random((5, 4, 6)),
        rng.standard_normal((2, 4, 6)) + 0j,
        None,
        rng.standard_normal((20, 20)).astype(np.complex64),
        bad_pixels=rng.random((4, 6)) < 0.2,
        kind=DataKind.AMPLITUDE,
    )


@pytest.fixture
def counted(tmp_path: Path) -> tuple[Callable[..., RawData], list[tuple[Any, ...]]]:
    calls: list[tuple[Any, ...]] = []

    @memoize_raw_data(cache_dir=tmp_path)
    def make(seed: Any, scale: float = 2.0, *, extra: Any = None) -> RawData:
        calls.append((seed, scale, extra))
        return make_raw(seed, scale)

    return make, calls


def test_a_hit_equals_a_miss_in_every_field(counted: Any) -> None:
    make, calls = counted
    miss, hit = make(3), make(3)
    assert len(calls) == 1
    for field in dataclasses.fields(RawData):
        one, other = getattr(miss, field.name), getattr(hit, field.name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other, strict=True)
        else:
            assert one == other


def test_defaults_and_keywords_share_a_key(counted: Any) -> None:
    make, calls = counted
    make(3), make(3, 2.0), make(seed=3, scale=2.0), make(3, extra=None)
    assert len(calls) == 1


def test_one_is_neither_true_nor_a_float(counted: Any) -> None:
    make, calls = counted
    for value in (1, 1.0, True, np.int64(1), np.float32(1), np.array(1)):
        make(value), make(value)
    assert len(calls) == 6


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        ([1, 2], (1, 2)),
        ({"a": 1}, {"a": 2}),
        ({1: "a"}, {"1": "a"}),
        ({1, 2}, frozenset({1, 2})),
        ("1", 1),
        (b"a", "a"),
        (None, "None"),
        (Path("a"), "a"),
        (DataKind.COUNTS, "counts"),
        (np.zeros(3), np.zeros((3, 1))),
        (np.zeros(3, np.float32), np.zeros(3, np.int32)),
        (np.array([1.0, 2.0]), np.array([1.0, 2.0 + 1e-15])),
        ([["a"], "b"], ["a", ["b"]]),
        (make_raw(1), make_raw(2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_differs_has_another_key(one: Any, other: Any) -> None:
    assert _hash_payload(one) == _hash_payload(one)
    assert _hash_payload(one) != _hash_payload(other)


def test_the_same_content_has_the_same_key() -> None:
    values = np.arange(12.0).reshape(3, 4)
    assert _hash_numpy(values) == _hash_numpy(np.asfortranarray(values)) == _hash_numpy(values[::-1][::-1])
    assert _hash_payload({"a": 1, "b": 2}) == _hash_payload({"b": 2, "a": 1})
    assert _normalize_for_hash({"b", "a"}) == _normalize_for_hash({"a", "b"})


def test_what_has_no_content_to_compare_is_refused(counted: Any) -> None:
    make, calls = counted
    for value in (np.random.default_rng(0), lambda: 0, object(), np.array([object()])):
        with pytest.raises(ConfigError, match="cache key: expected"):
            make(1, extra=value)
    assert calls == []


def test_the_librarys_version_and_the_functions_source_are_in_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def first(seed: int) -> RawData:
        calls.append(seed)
        return make_raw(seed)

    first.__qualname__ = second_name = "make"
    memoize_raw_data(cache_dir=tmp_path)(first)(1)
    monkeypatch.setattr(ptycho.compat.cache, "__version__", "0.0.0")
    memoize_raw_data(cache_dir=tmp_path)(first)(1)
    assert len(calls) == 2

    def second(seed: int) -> RawData:
        calls.append(seed)
        return make_raw(seed + 1)

    second.__qualname__ = second_name
    second.__name__ = first.__name__
    memoize_raw_data(cache_dir=tmp_path)(second)(1)
    assert len(calls) == 3


def test_functions_of_one_source_that_enclose_different_values_share_no_key(tmp_path: Path) -> None:
    calls: list[float] = []

    def define(scale: Any) -> Callable[[int], RawData]:
        @memoize_raw_data(cache_dir=tmp_path)
        def make(seed: int) -> RawData:
            calls.append(seed)  # grows with every call, and is no part of the key
            return make_raw(seed, float(np.sum(scale)))

        return make

    for scale in (2.0, 3.0, (2.0, 1.5), np.array([1.0, 3.5])):
        first, again = define(scale)(7), define(scale)(7)
        assert first.diff3d.max() == again.diff3d.max() == make_raw(7, float(np.sum(scale))).diff3d.max()
    assert len(calls) == 4


@pytest.mark.parametrize("kept", [0, 0.3, 0.9, 0.999])
def test_a_damaged_file_is_computed_again(counted: Any, tmp_path: Path, kept: float) -> None:
    make, calls = counted
    expected = make(3)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    np.testing.assert_array_equal(make(3).diff3d, expected.diff3d)
    assert len(calls) == 2
    assert path.read_bytes() == content
    make(3)
    assert len(calls) == 2


def test_a_changed_byte_is_noticed(counted: Any, tmp_path: Path) -> None:
    make, calls = counted
    expected = make(3)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    where = bytes(content).index(expected.diff3d.tobytes())
    content[where + 5] ^= 1
    path.write_bytes(content)
    np.testing.assert_array_equal(make(3).diff3d, expected.diff3d)
    assert len(calls) == 2


def test_a_pickle_in_the_caches_place_is_not_loaded(counted: Any, tmp_path: Path) -> None:
    make, calls = counted
    make(3)
    (path,) = tmp_path.iterdir()
    np.savez(path, format=np.array(["ptycho-raw/1"], dtype=object), allow_pickle=True)
    make(3)
    assert len(calls) == 2


def test_a_file_that_lacks_a_field_is_computed_again(counted: Any, tmp_path: Path) -> None:
    """Its reader could fill in a mask, or take the nominal positions for the others: a hit would not be the miss."""
    make, calls = counted
    expected = make(3)
    (path,) = tmp_path.iterdir()
    arrays = load_arrays(path)
    for key in arrays:
        np.savez(path, **{name: array for name, array in arrays.items() if name != key})
        np.testing.assert_array_equal(make(3).mask, expected.mask)
    assert len(calls) == 1 + len(arrays) - 1  # objectGuess alone may be missing
    np.save(path.with_suffix(".npy"), np.ones(3))
    path.with_suffix(".npy").rename(path)
    make(3)
    assert len(calls) == 1 + len(arrays)


def test_another_result_than_a_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a function that returns RawData, found int"):
        memoize_raw_data(cache_dir=tmp_path)(lambda: 1)()  # type: ignore[arg-type, return-value]
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_the_librarys_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTYCHO_CACHE", str(tmp_path))
    memoize_raw_data(make_raw)(4)
    (path,) = (tmp_path / "raw_data").iterdir()
    assert path.name.startswith("make_raw-")


@pytest.mark.slow
def test_processes_that_write_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    script = (
        "import sys, numpy as np\n"
        "from ptycho.cache import memoize_raw_data\n"
        "from ptycho.raw_data import RawData\n"
        "def make(seed):\n"
        "    rng = np.random.default_rng(seed)\n"
        "    frames = rng.poisson(9.0, (200, 32, 32))\n"
        "    return RawData.from_coords_without_pc(rng.random(200), rng.random(200), frames, np.ones((32, 32)))\n"
        "cached = memoize_raw_data(cache_dir=sys.argv[1])(make)\n"
        "for _ in range(3):\n"
        "    for seed in range(4):\n"
        "        assert (cached(seed).diff3d == make(seed).diff3d).all()\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for child in children:
        assert (child.communicate(timeout=120)[1], child.returncode) == (b"", 0)
    assert len(list(tmp_path.iterdir())) == 4
