"""A pickle is read for its arrays only: whatever else it names is refused by name, and nothing of it runs."""

import builtins
import os
import pickle
import pickletools
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptycho.data.pickled import read_pickled_arrays
from ptycho.errors import DataError

RNG = np.random.default_rng(3)
ARRAYS = [
    RNG.integers(0, 65_536, (5, 4, 3)).astype(np.uint16),
    RNG.standard_normal((5, 2)).astype(np.float32),
    RNG.standard_normal((1, 2, 4, 3)) + 1j * RNG.standard_normal((1, 2, 4, 3)),
    np.asfortranarray(RNG.standard_normal((4, 3))),
    RNG.integers(-9, 9, 7).astype(">i4"),
    np.array([True, False]),
    np.array(2.5),
]


class Call:
    """What pickles as a call of `function` with `arguments`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call

    def __call__(self) -> None:
        """Be callable, so that one call may stand for the function of another."""


HOSTILE = {
    "system": lambda mark: Call(os.system, f"touch {mark}"),
    "eval": lambda mark: Call(eval, f"open({mark!r}, 'w').close()"),
    "exec": lambda mark: Call(exec, f"open({mark!r}, 'w').close()"),
    "mkdir": lambda mark: Call(os.mkdir, mark),
    "getattr": lambda mark: Call(Call(getattr, Call(builtins.__import__, "os"), "system"), f"touch {mark}"),
    "Popen": lambda mark: Call(subprocess.Popen, ["touch", mark]),
    "load": lambda mark: Call(np.load, objects_file(mark), None, True),
    "savetxt": lambda mark: Call(np.savetxt, mark, np.ones(3)),
}


def objects_file(mark: str) -> str:
    """A .npy file whose loading with allow_pickle leaves the mark."""
    path = Path(mark).with_name("objects.npy")
    np.save(path, np.array([Call(os.system, f"touch {mark}")], object), allow_pickle=True)
    return str(path)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_arrays_of_numbers_come_back_as_they_were(protocol: int) -> None:
    found = read_pickled_arrays(pickle.dumps(ARRAYS, protocol), "x")
    assert len(found) == len(ARRAYS)
    for array, expected in zip(found, ARRAYS, strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)


def test_the_names_of_numpy_1_are_read_too() -> None:
    content = pickle.dumps(ARRAYS, 3)
    assert b"numpy._core.multiarray" in content
    found = read_pickled_arrays(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"), "x")
    np.testing.assert_array_equal(found[0], ARRAYS[0])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_refused_by_name_and_nothing_of_it_runs(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    call = HOSTILE[name](str(mark))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for content in (call, [call], [*ARRAYS, call]):
            with pytest.raises(DataError, match=rf"found [\w.]+\.({name}|encode), which is no part of an array"):
                read_pickled_arrays(pickle.dumps(content, protocol), "x")
        with pytest.raises(DataError, match=rf"found numpy.dtype\('O8'\)|found [\w.]+\.({name}|encode)"):
            read_pickled_arrays(pickle.dumps([np.array([call, None], object)], protocol), "x")
        assert not mark.exists()
    with pytest.raises(DataError, match=rf"found [\w.]+\.{name}, which is no part of an array; nothing was run"):
        read_pickled_arrays(pickle.dumps([call], 4), "x")
    trusting = pickle.loads(pickle.dumps(call))  # noqa: S301 -- shows that the call is live
    if isinstance(trusting, subprocess.Popen):
        trusting.wait()
    assert mark.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps([np.array([1, None], object)], 4), r"expected a type of numbers, found numpy\.dtype\('O8'\)"),
        (pickle.dumps([np.array(["a"])], 4), r"found numpy\.dtype\('U1'\)"),
        (pickle.dumps([np.zeros(2, [("a", "f4")])], 4), r"found numpy\.dtype\('V4'\)"),
        (pickle.dumps([np.datetime64("2020")], 4), r"found numpy\._core\.multiarray\.scalar, which is no part"),
        (pickle.dumps([np.ma.masked_array([1.0])], 4), r"found numpy\.ma\.\w+\._mareconstruct, which is no part"),
        (pickle.dumps(ARRAYS[0], 4), "expected a list of arrays, found one Array"),
        (pickle.dumps([ARRAYS[0], "text"], 4), "expected a list of arrays, found 1 of them among 2 items"),
        (pickle.dumps({"data": ARRAYS[0]}, 4), "expected a list of arrays, found one dict"),
        (pickle.dumps([np.ndarray], 4), "expected a list of arrays, found 0 of them among 1 items"),
        (b"\x80\x04\x82\x07.", "expected a complete pickle"),  # an extension that nobody registered
        (b"Pname\n.", "expected a complete pickle"),  # a persistent id
        (b"\x80\x04N\x93.", "expected a complete pickle"),
        (b"", "expected a complete pickle"),
        (b"PK\x03\x04", "expected a complete pickle"),
    ],
)
def test_what_is_no_list_of_plain_arrays_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_pickled_arrays(content, "x")


def crafted(number_type: str = "<f8", shape: tuple[Any, ...] = (2,), data: object = bytes(16)) -> bytes:
    """A pickle of one array whose state says what it likes."""

    class Array:
        def __reduce__(self) -> tuple[Any, ...]:
            empty = (np.ndarray, (0,), b"b")
            return np.zeros(1).__reduce__()[0], empty, (1, shape, np.dtype(number_type), False, data)

    return pickle.dumps([Array()], 4)


@pytest.mark.parametrize(
    "content",
    [
        crafted(shape=(3,)),
        crafted(shape=(2**40, 2**40)),
        crafted(shape=("a",)),
        crafted(data=bytes(15)),
        crafted(data=[1.0, 2.0]),
        crafted(data=None),
    ],
)
def test_a_state_that_contradicts_itself_is_refused(content: bytes) -> None:
    assert [array.tolist() for array in read_pickled_arrays(crafted(), "x")] == [[0.0, 0.0]]
    with pytest.raises(DataError, match="expected a complete pickle of plain arrays"):
        read_pickled_arrays(content, "x")


def test_a_pickle_cannot_change_the_stand_ins() -> None:
    """BUILD sets attributes of whatever lies on the stack, classes among it, unless these refuse."""
    for name in ("ndarray", "dtype"):
        content = b"\x80\x04cnumpy\n" + name.encode() + b"\n}\x8c\x05arrayK\x01sb."
        assert [opcode.name for opcode, _, _ in pickletools.genops(content)][-2:] == ["BUILD", "STOP"]
        with pytest.raises(DataError, match="expected a complete pickle"):
            read_pickled_arrays(content, "x")
    np.testing.assert_array_equal(read_pickled_arrays(pickle.dumps(ARRAYS, 4), "x")[0], ARRAYS[0])


def test_a_pickle_cut_anywhere_is_refused() -> None:
    content = pickle.dumps(ARRAYS[1:2], 4)
    for size in range(0, len(content), 7):
        with pytest.raises(DataError, match="x: expected a complete pickle"):
            read_pickled_arrays(content[:size], "x")
