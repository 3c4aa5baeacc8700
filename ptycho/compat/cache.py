"""`ptycho.cache`: results of functions that make `RawData`, kept on disk; nothing is ever unpickled."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, ParamSpec, overload

import numpy as np
from numpy.typing import NDArray

from ptycho import __version__
from ptycho.compat.raw_data import FORMAT, RawData
from ptycho.config import find_cache_folder
from ptycho.errors import ConfigError, DataError

__all__ = ["memoize_raw_data"]

P = ParamSpec("P")
Makes = Callable[P, RawData]


@overload
def memoize_raw_data(function: Makes[P], /) -> Makes[P]: ...
@overload
def memoize_raw_data(*, cache_dir: Path | str | None = None) -> Callable[[Makes[P]], Makes[P]]: ...
def memoize_raw_data(function: Any = None, /, *, cache_dir: Path | str | None = None) -> Any:
    """Keep the results of a function in files, one for each set of arguments.

    The key covers the function's name and source, all arguments with their types and contents (defaults
    included, so f(x) and f(x, default) share one; 1, 1.0 and True do not), the library's version, and what the
    function encloses of the function around it: numbers, texts, arrays and records as they were when it was
    decorated. It covers no global, no other function that is called, and no list or dictionary enclosed: pass these
    as arguments. Files are written whole or not at all, so processes may share a folder; a damaged file is computed
    again.

    Parameters
    ----------
    function
        Returns `RawData`, and the same for the same arguments.
    cache_dir
        Where to keep files; by default the folder `raw_data` in the cache of `ptycho.config`.

    Raises
    ------
    ConfigError
        On a call: if an argument cannot be part of a key, or the result is no `RawData`.
    """
    if function is None:
        return functools.partial(_memoize, cache_dir=cache_dir)
    return _memoize(function, cache_dir=cache_dir)


def _memoize(function: Makes[P], cache_dir: Path | str | None) -> Makes[P]:
    """Return the function with its results kept."""
    signature = inspect.signature(function)
    name = f"{function.__module__}.{function.__qualname__}"
    enclosed = _read_enclosed(function)

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> RawData:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        payload = {
            "function": name,
            "source": _read_source(function),
            "enclosed": enclosed,
            "arguments": dict(bound.arguments),
            "version": (__version__, FORMAT),
        }
        folder = find_cache_folder() / "raw_data" if cache_dir is None else Path(cache_dir)
        path = folder / f"{function.__name__}-{_hash_payload(payload)}.npz"
        try:
            return RawData.from_file(path)
        except DataError:  # missing, or damaged
            pass
        result = function(*args, **kwargs)
        if not isinstance(result, RawData):
            raise ConfigError(f"{name}: expected a function that returns RawData, found {type(result).__name__}")
        result.save(path)
        return result

    return wrapper


def _read_enclosed(function: Callable[..., Any]) -> dict[str, Any]:
    """Return, as JSON values, what tells two functions of one source apart: the variables around them that are fixed.

    Containers that can change are left out: counters and logs of calls, as a rule, and no part of the result.
    """
    enclosed = {}
    names = function.__code__.co_freevars if inspect.isfunction(function) else ()
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=True):
        with suppress(ValueError, ConfigError):  # not assigned yet, or nothing that a key can hold
            value = cell.cell_contents
            if not isinstance(value, list | dict | set):
                enclosed[name] = _normalize_for_hash(value)
    return enclosed


def _read_source(function: Callable[..., Any]) -> str:
    """Return the source of a function, empty where there is none (at a prompt)."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""


def _hash_payload(payload: Any) -> str:  # noqa: ANN401 -- anything that `_normalize_for_hash` knows
    """Return the SHA-256, in hexadecimal, of a value's content."""
    text = json.dumps(_normalize_for_hash(payload), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _hash_numpy(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's dtype, shape and values; its order in memory does not count.

    Raises
    ------
    ConfigError
        If it holds Python objects.
    """
    if array.dtype.hasobject:
        raise ConfigError(f"cache key: expected arrays of plain numbers, found {array.shape} of {array.dtype}")
    digest = hashlib.sha256(f"{array.dtype.str} {array.dtype.descr} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _normalize_for_hash(value: Any) -> Any:  # noqa: ANN401, PLR0911 -- one line for each type
    """Return a JSON value that differs where a value, or the type of a value, differs.

    Raises
    ------
    ConfigError
        If its type has no such form: what cannot be told apart must not share a key.
    """
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    match value:
        case None | bool() | str() if type(value) in (type(None), bool, str):
            return [kind, value]
        case Enum():
            return [kind, value.name]
        case np.ndarray() | np.generic():
            return [kind, _hash_numpy(np.asarray(value))]
        case int() | float() | complex() | bytes() | str() | range() | slice():
            return [kind, repr(value)]
        case PurePath():
            return [kind, str(value)]
        case Mapping():
            items = [[_normalize_for_hash(key), _normalize_for_hash(item)] for key, item in value.items()]
            return [kind, sorted(items, key=json.dumps)]
        case list() | tuple():
            return [kind, [_normalize_for_hash(item) for item in value]]
        case set() | frozenset():
            return [kind, sorted((_normalize_for_hash(item) for item in value), key=json.dumps)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [[field.name, _normalize_for_hash(getattr(value, field.name))] for field in dataclasses.fields(value)]
        return [kind, fields]
    raise ConfigError(
        f"cache key: expected numbers, texts, paths, arrays, records or collections of them, found {kind}; pass "
        "a seed instead of a generator, a path instead of a file"
    )
